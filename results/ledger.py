"""The ledger of a run: one row per chunk of frames done, and what resumption reads from it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..bench.chunks import FAILED, ChunkRow
from .files import replacing

SCHEMA = pa.schema(
    [
        ("clip", pa.string()),
        ("chunk", pa.int32()),
        ("last", pa.bool_()),
        ("frames", pa.int32()),
        ("faces", pa.int32()),
        ("failed", pa.int32()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("seconds", pa.float64()),
        ("sum", pa.list_(pa.float64())),
    ]
)


@dataclass(frozen=True, eq=False)
class ClipSum:
    """The rows of one clip added up in the order of its chunks.

    Attributes:
        frames, faces, failed: totals.
        reasons: every distinct reason, in order.
        sum: (D,) float64, or empty without a face.
    """

    frames: int
    faces: int
    failed: int
    reasons: tuple[str, ...]
    sum: NDArray[np.float64]


class Ledger:
    """A folder of Parquet files, one a chunk: a row is there whole or not at all, and only once.

    A clip's files stand in `FOLDER/SUBJECT/SCENE/`, named by chunk.

    `pandas.read_parquet(folder)` reads it as one table with the columns of `SCHEMA`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, row: ChunkRow) -> None:
        """Keep a row; a row of the same chunk is replaced."""
        values = {**vars(row), "sum": row.sum.tolist()}
        table = pa.Table.from_pylist([values], schema=SCHEMA)
        with replacing(self._path(row.clip, row.chunk)) as draft:
            pq.write_table(table, draft, compression="zstd")

    def table(self) -> pd.DataFrame:
        """All rows without their sums, sorted by clip and chunk."""
        columns = [name for name in SCHEMA.names if name != "sum"]
        tables = [pq.ParquetFile(path).read(columns) for path in self.folder.rglob("*.parquet")]
        table = pa.concat_tables(tables) if tables else SCHEMA.empty_table().select(columns)
        frame: pd.DataFrame = table.to_pandas()
        return frame.sort_values(["clip", "chunk"], ignore_index=True)

    def done(self, clip: str) -> frozenset[int]:
        """Chunks of a clip that need no further work."""
        rows = self._rows(clip)
        return frozenset(row.chunk for row in rows if row.status != FAILED)

    def finished(self, clip: str) -> bool:
        """Whether every chunk of a clip is there, none to be tried again."""
        rows = self._rows(clip)
        whole = [row.chunk for row in rows] == list(range(len(rows)))
        return bool(rows) and whole and rows[-1].last and all(r.status != FAILED for r in rows)

    def total(self, clip: str) -> ClipSum:
        """Add up a clip's rows in float64 and chunk order, so that arrival order never matters."""
        rows = self._rows(clip)
        sums = [row.sum for row in rows if row.faces]
        return ClipSum(
            frames=sum(row.frames for row in rows),
            faces=sum(row.faces for row in rows),
            failed=sum(row.failed for row in rows),
            reasons=tuple(dict.fromkeys(row.reason for row in rows if row.reason)),
            sum=functools.reduce(np.add, sums, np.zeros(())) if sums else np.empty(0),
        )

    def _rows(self, clip: str) -> list[ChunkRow]:
        return [_read(path) for path in sorted((self.folder / clip).glob("*.parquet"))]

    def _path(self, clip: str, chunk: int) -> Path:
        return self.folder / clip / f"{chunk:05d}.parquet"


def _read(path: Path) -> ChunkRow:
    values: dict[str, Any] = pq.ParquetFile(path).read().to_pylist()[0]
    return ChunkRow(**{**values, "sum": np.asarray(values["sum"], np.float64)})
