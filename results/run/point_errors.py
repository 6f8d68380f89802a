"""The single distances behind every score, kept so that all can be drawn and tested again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...recon.files.tables import parquet_error, read_table, write_table
from ...recon.mesh import Mesh
from ..files import atomic_write

if TYPE_CHECKING:
    from ...bench.scoring.reduce import PointDistances

SIDES = ("scan_to_prediction", "prediction_to_scan")


def read_errors(path: Path) -> tuple[Mesh, NDArray[np.float64]]:
    """A kept mesh in mm and the error (V,) at its vertices, NaN where it has none."""
    # Here: who reads a run's numbers needs no meshes.
    import trimesh

    # Unprocessed: merging vertices would part them from their errors.
    loaded = trimesh.load(path, process=False, maintain_order=True)
    mesh = Mesh(np.asarray(loaded.vertices, np.float64), np.asarray(loaded.faces, np.int32))
    values = loaded.metadata["_ply_raw"]["vertex"]["data"]["error"]
    return mesh, np.asarray(values, np.float64).reshape(-1)


class PointErrors:
    """A folder of Parquet files `ITEM.parquet`, one per item.

    Columns: `error_mm` (float32) and `direction`, one of `SIDES`; a row a point in the overlap
    region. About 0.25 MB for 70,000 points.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, item: str, distances: PointDistances) -> None:
        """Keep the distances of an item."""
        # A float32 of a few mm is exact to a nanometre, in half of the space.
        errors = np.concatenate(distances).astype(np.float32)
        sides = np.repeat(np.arange(2, dtype=np.int8), [len(side) for side in distances])
        names = pa.DictionaryArray.from_arrays(pa.array(sides), pa.array(SIDES))
        table = pa.table({"direction": names, "error_mm": errors})
        with atomic_write(self._path(item)) as draft:
            write_table(
                table,
                draft,
                compression="zstd",
                # Two words for all rows; errors hardly repeat, a dictionary would only cost.
                use_dictionary=["direction"],
                # Exponents of errors are alike: bytes of one place side by side pack far better.
                use_byte_stream_split=["error_mm"],
            )

    def read(self, item: str) -> PointDistances:
        """The distances (N,), (M,) float32 of an item.

        Raises:
            FileNotFoundError: there are none.
            FacebenchError: they are damaged.
        """
        path = self._path(item)
        if not path.is_file():
            raise FileNotFoundError(path)
        table = read_table(path, ["direction", "error_mm"])
        try:
            errors = table["error_mm"].cast(pa.float32()).to_numpy()
            of_scan = pc.equal(table["direction"].cast(pa.string()), SIDES[0]).to_numpy()
            return errors[of_scan], errors[~of_scan]
        except (pa.ArrowException, ValueError, IndexError, TypeError) as error:
            raise parquet_error(path, error) from error

    def remove(self, item: str) -> None:
        """Forget what is no longer true."""
        self._path(item).unlink(missing_ok=True)

    def _path(self, item: str) -> Path:
        return self.folder / f"{item}.parquet"
