"""Training shards: a folder of Parquet files with photographs, landmarks and masks."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from ...errors import FacebenchError
from ..morphable.model import MorphableModel
from ..synthetic.masks import MASK_ORDER

COLUMNS = ("id", "subject", "image", "landmarks", "mask")


@dataclass(frozen=True)
class Sample:
    """One photograph with its weak labels, as stored.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        landmarks: (68, 2) float32, px of the image, integers at pixel centres; NaN where unknown.
        mask: (S, S) uint8, face-parsing class of each pixel in BiSeNet order.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    mask: NDArray[np.uint8]


class FaceShards:
    """All rows of a folder of shards.

    The compressed pictures are kept in memory (about 5 kB a face at 96 px, 20 kB at 224 px) and
    decoded when asked for. The true coefficients of synthetic faces are never part of a `Sample`:
    training is weakly supervised, only validation may ask for them.

    Args:
        folder: holds `*.parquet`.
        limit: how many rows to use at most, None for all.

    Raises:
        FacebenchError: no shards, an unreadable shard, a missing column or another mask order.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        paths = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
        if not paths:
            raise FacebenchError(
                f"no training shards (*.parquet) in {folder}",
                "make some with 'facebench synth faces --out DIR'",
            )
        self._table = pa.concat_tables([_read(path) for path in paths]).slice(0, limit)
        if len(self) == 0:
            raise FacebenchError(f"the shards in {folder} hold no rows", "make them again")

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def model_digest(self) -> str:
        """Digest of the face model behind synthetic faces, or empty for photographs."""
        return _metadata(self._table.schema, "facebench.model_digest")

    def check_model(self, model: MorphableModel) -> None:
        """Refuse synthetic faces of another face model: their landmarks mean other vertices."""
        if self.model_digest not in ("", model.digest):
            raise FacebenchError(
                f"the faces in {self.folder} were made with face model {self.model_digest[:12]}, "
                f"but '{model.name}' is {model.digest[:12]}",
                "give --model the one they were made with",
            )

    @property
    def subjects(self) -> list[str]:
        """Subject of each row."""
        return [str(subject) for subject in self._table["subject"].to_pylist()]

    def sample(self, row: int) -> Sample:
        """Decode one row.

        Raises:
            FacebenchError: the row's picture, mask or landmarks cannot be read.
        """
        try:
            image = np.asarray(_decode(self._table["image"][row], "RGB"))
            mask = np.asarray(_decode(self._table["mask"][row], "L"))
            landmarks = np.asarray(self._table["landmarks"][row].as_py(), dtype=np.float32)
            sample = Sample(image, landmarks.reshape(68, 2), mask)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            where = f"row {row} ({self._table['id'][row]}) of {self.folder}"
            raise FacebenchError(f"{where} cannot be read: {error}") from error
        return sample

    def coefficients(self, rows: Sequence[int]) -> NDArray[np.float32] | None:
        """True coefficients (len(rows), total) for validation; None where the shards have none."""
        if "coefficients" not in self._table.column_names:
            return None
        values = self._table["coefficients"].take(list(rows)).to_pylist()
        if any(value is None for value in values):
            return None
        return np.asarray(values, dtype=np.float32)


def _read(path: Path) -> Any:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise FacebenchError(f"shard {path} cannot be read: {error}", "make it again") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise FacebenchError(
            f"shard {path} has no column {', '.join(missing)}", f"expected {', '.join(COLUMNS)}"
        )
    order = _metadata(table.schema, "facebench.mask_order")
    if order not in ("", MASK_ORDER):
        raise FacebenchError(f"shard {path}: masks are in {order} order", f"expected {MASK_ORDER}")
    kept = [name for name in (*COLUMNS, "coefficients") if name in table.column_names]
    return table.select(kept)


def _metadata(schema: Any, key: str) -> str:
    """A text kept with the schema, plain or as a JSON string; empty where there is none."""
    value: bytes = (schema.metadata or {}).get(key.encode(), b"")
    return value.decode().strip('"')


def _decode(cell: Any, mode: str) -> Image.Image:
    return Image.open(io.BytesIO(cell.as_py())).convert(mode)
