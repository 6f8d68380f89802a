"""The ledger of a run: one row per chunk of frames done, and what resumption reads from it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..bench.chunks import FAILED, ChunkRow
from ..errors import FacebenchError
from ..recon.parquet_files import opened_parquet, read_table
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
        ("command", pa.string()),
        ("elapsed", pa.float64()),
        ("sum", pa.list_(pa.float64())),
    ]
)
EXTRA = {"vertices": pa.list_(pa.float64()), "vectors": pa.list_(pa.float32())}
"""Columns of runs that average meshes or errors, not parameters."""

ARRAYS = ("sum", *EXTRA)


@dataclass(frozen=True)
class Clock:
    """When a row was done.

    Attributes:
        command: when the command that wrote it began, which tells commands apart.
        elapsed: seconds since that command began to read frames.
    """

    command: str = ""
    elapsed: float = 0.0


@dataclass(frozen=True, eq=False)
class ClipSum:
    """The rows of one clip added up in the order of its chunks.

    Attributes:
        frames, faces, failed: totals.
        reasons: every distinct reason, in order.
        sum: (D,) float64, or empty without a face.
        vertices: (3 V,) float64, the sum of the faces' own meshes, or None.
        vectors: (N, D) float32 of all faces in the order of the frames, or None.
    """

    frames: int
    faces: int
    failed: int
    reasons: tuple[str, ...]
    sum: NDArray[np.float64]
    vertices: NDArray[np.float64] | None = None
    vectors: NDArray[np.float32] | None = None


class Ledger:
    """A folder of Parquet files, one a chunk: a row is there whole or not at all, and only once.

    A clip's files stand in `FOLDER/SUBJECT/SCENE/`, named by chunk.

    A file that is damaged counts as not there, so that its chunk is done again.

    `pandas.read_parquet(folder)` reads it as one table with the columns of `SCHEMA`, and those of
    `EXTRA` that the run's protocol needs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, row: ChunkRow, clock: Clock | None = None) -> None:
        """Keep a row; a row of the same chunk is replaced."""
        arrays = {name: getattr(row, name) for name in ARRAYS}
        lists = {
            name: array.ravel().tolist() for name, array in arrays.items() if array is not None
        }
        table = pa.Table.from_pylist(
            [{**vars(row), **vars(clock or Clock()), **lists}], schema=_schema(lists)
        )
        with replacing(self._path(row.clip, row.chunk)) as draft:
            pq.write_table(table, draft, compression="zstd")

    def table(self) -> pd.DataFrame:
        """All rows without their arrays, sorted by clip and chunk."""
        columns = [name for name in SCHEMA.names if name != "sum"]
        files = sorted(self.folder.rglob("*.parquet"))
        tables = [found for path in files if (found := _whole_table(path, columns)) is not None]
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
        rows = self._rows(clip, ARRAYS)
        described = [row for row in rows if row.faces]
        vertices = [row.vertices for row in described if row.vertices is not None]
        vectors = [row.vectors for row in described if row.vectors is not None]
        return ClipSum(
            frames=sum(row.frames for row in rows),
            faces=sum(row.faces for row in rows),
            failed=sum(row.failed for row in rows),
            reasons=tuple(dict.fromkeys(row.reason for row in rows if row.reason)),
            sum=_added([row.sum for row in described]),
            vertices=_added(vertices) if vertices else None,
            vectors=np.concatenate(vectors) if vectors else None,
        )

    def frames_per_second(self) -> float:
        """Frames read over the seconds that all commands spent on it; NaN for none.

        A command's seconds end with its last row, so what it did after that and lost when it was
        killed counts neither as frames nor as time.
        """
        rows = self.table()
        seconds = float(rows.groupby("command")["elapsed"].max().sum())
        return float(rows["frames"].sum()) / seconds if seconds > 0 else float("nan")

    def _rows(self, clip: str, arrays: Sequence[str] = ()) -> list[ChunkRow]:
        files = sorted((self.folder / clip).glob("*.parquet"))
        return [row for path in files if (row := _whole_row(path, arrays)) is not None]

    def _path(self, clip: str, chunk: int) -> Path:
        return self.folder / clip / f"{chunk:05d}.parquet"


def _schema(lists: dict[str, Any]) -> pa.Schema:
    return pa.schema([*SCHEMA, *(pa.field(n, kind) for n, kind in EXTRA.items() if n in lists)])


def _whole_table(path: Path, columns: Sequence[str]) -> Any:
    """Columns of a file as the ledger keeps them, or None where it is damaged."""
    try:
        return read_table(path, columns).cast(_NUMBERS)
    except (FacebenchError, pa.ArrowException, ValueError):
        return None


_NUMBERS = pa.schema([item for item in SCHEMA if item.name != "sum"])


def _whole_row(path: Path, arrays: Sequence[str]) -> ChunkRow | None:
    """A row with the arrays asked for, or None where the file is damaged."""
    try:
        return _read(path, arrays)
    except (FacebenchError, pa.ArrowException, ValueError, TypeError, KeyError, IndexError):
        return None


def _read(path: Path, arrays: Sequence[str]) -> ChunkRow:
    """A row with the arrays asked for; the others stay on disk."""
    names = [item.name for item in fields(ChunkRow)]
    held = opened_parquet(path).schema_arrow.names
    wanted = [n for n in held if n in names and (n not in ARRAYS or n in arrays)]
    table = read_table(path, wanted)
    table = table.cast(pa.schema([_FIELDS.field(name) for name in wanted]))
    values: dict[str, Any] = {n: table[n][0].as_py() for n in wanted if n not in ARRAYS}
    found = {n: table[n].combine_chunks().values.to_numpy() for n in wanted if n in ARRAYS}
    values |= {"sum": np.empty(0)} | found
    if found.get("vectors") is not None:
        values["vectors"] = (
            found["vectors"].reshape(values["faces"], -1) if values["faces"] else None
        )
    return ChunkRow(**values)


_FIELDS = pa.schema([*SCHEMA, *EXTRA.items()])


def _added(arrays: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return functools.reduce(np.add, arrays, np.zeros(())) if arrays else np.empty(0)
