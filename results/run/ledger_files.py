"""A ledger's Parquet files: a row of a chunk, and many rows in one file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from ...bench.method.clip_faces import ChunkRow
from ...errors import FacebenchError
from ...recon.face.tracks import WIDTH
from ...recon.files.tables import read_table, write_table
from ...recon.files.writing import atomic_write

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
_FLOATS = pa.list_(pa.float64())
EXTRA = {
    "vertices": _FLOATS,
    "vectors": pa.list_(pa.float32()),
    "segments": _FLOATS,
    "changes": _FLOATS,
}
"""Columns of runs that average meshes or errors, not parameters, and of clips whose faces are
tracked, which those with a file of boxes are not."""
_WIDTHS = {"segments": WIDTH, "changes": 2}

ARRAYS = ("sum", *EXTRA)
PLAIN = [name for name in SCHEMA.names if name not in ARRAYS]
"""Columns of one value each."""

_FIELDS = pa.schema([*SCHEMA, *EXTRA.items()])
_OF_ROW = [item.name for item in fields(ChunkRow)]


def table_of(rows: Sequence[ChunkRow], command: str, elapsed: float) -> pa.Table:
    """A table of rows, with the columns of `EXTRA` that one of them has; see `Ledger.write`."""
    extra = [name for name in EXTRA if any(getattr(row, name) is not None for row in rows)]
    arrays = ("sum", *extra)
    facts = {"command": command, "elapsed": elapsed}
    return pa.Table.from_pylist(
        [
            {**vars(row), **facts, **{name: _list(getattr(row, name)) for name in arrays}}
            for row in rows
        ],
        schema=pa.schema([*SCHEMA, *(_FIELDS.field(name) for name in extra)]),
    )


def _list(array: NDArray[Any] | None) -> list[Any] | None:
    return None if array is None else array.ravel().tolist()


def read_rows(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a file with the columns asked for, or all; none where the file is damaged."""
    table = _complete_table(path, columns)
    return SCHEMA.empty_table().select(list(columns or SCHEMA.names)) if table is None else table


def is_whole(path: Path) -> bool:
    """Whether every column of a file can be read."""
    return _complete_table(path) is not None


def write_rows(table: pa.Table, path: Path) -> None:
    """Write a file whose pages carry a checksum: a changed bit may still unpack to numbers."""
    write_table(table, path, compression="zstd", write_page_checksum=True)


def rows_of(table: pa.Table) -> list[ChunkRow]:
    """The rows of a table that has all columns of a `ChunkRow`."""
    names = [name for name in table.column_names if name in _OF_ROW]
    plain = table.select([name for name in names if name not in ARRAYS]).to_pylist()
    arrays = {name: table[name] for name in names if name in ARRAYS}
    return [
        _row(values, {name: column[number].values for name, column in arrays.items()})
        for number, values in enumerate(plain)
    ]


def _complete_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table | None:
    try:
        table = read_table(path, columns)
        table = table.cast(pa.schema([_FIELDS.field(name) for name in table.column_names]))
        # Nothing is ever written as null: one is damage that still unpacks.
        missing = any(table[name].null_count for name in columns or SCHEMA.names)
    except (FacebenchError, pa.ArrowException, KeyError):
        return None
    return None if missing else table


def _row(values: dict[str, Any], lists: dict[str, pa.Array | None]) -> ChunkRow:
    arrays = {name: array.to_numpy() for name, array in lists.items() if array is not None}
    vectors = arrays.pop("vectors", None)
    if vectors is not None and values["faces"]:
        arrays["vectors"] = vectors.reshape(values["faces"], -1)
    arrays |= {name: arrays[name].reshape(-1, _WIDTHS[name]) for name in _WIDTHS if name in arrays}
    return ChunkRow(**values, **arrays)


Place = tuple[Path, int, int]
"""A pack, and where in it a clip's rows begin and end."""


class Packs:
    """A folder of Parquet files of many rows, `00000.parquet` and on; each is written once.

    Some may be gone or damaged: their rows are then not there, those of the others are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, list[Place]] | None = None
        self._next = -1
        # Clips are asked for in order, and those that were read at a time share few packs.
        self._complete_table = lru_cache(maxsize=8)(read_rows)

    def add(self, table: pa.Table) -> None:
        """Keep rows in a new file, sorted by clip and chunk."""
        # A clip's rows side by side are one slice of the pack, not a search through it.
        ordered = table.sort_by([("clip", "ascending"), ("chunk", "ascending")])
        if self._next < 0:
            # Not their count: after a damaged pack was set aside it would name one in use.
            self._next = max((int(path.stem) for path in self.files()), default=-1) + 1
        with atomic_write(self.folder / f"{self._next:05d}.parquet") as draft:
            write_rows(ordered, draft)
        self._next += 1
        self._places = None

    def columns(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of every file."""
        return (read_rows(path, names) for path in self.files())

    def keys(self) -> Iterator[tuple[str, int]]:
        """Clip and chunk of every row."""
        for table in self.columns(["clip", "chunk"]):
            yield from zip(table["clip"].to_pylist(), table["chunk"].to_pylist(), strict=True)

    def clip(self, clip: str) -> list[pa.Table]:
        """A clip's rows, a table for each file that has some."""
        if self._places is None:
            self._places = self._index()
        places = self._places.get(clip, ())
        return [self._complete_table(path).slice(start, end - start) for path, start, end in places]

    def _index(self) -> dict[str, list[Place]]:
        found: dict[str, list[Place]] = defaultdict(list)
        files = self.files()
        for path, table in zip(files, self.columns(["clip"]), strict=True):
            for clip, start, end in _runs(table["clip"].to_pylist()):
                found[clip].append((path, start, end))
        return dict(found)

    def files(self) -> list[Path]:
        """The packs, in the order they were written."""
        return sorted(path for path in self.folder.glob("*.parquet") if path.stem.isdecimal())


def _runs(values: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Each run of equal values, with where it begins and ends."""
    start = 0
    for place in range(1, len(values) + 1):
        if place == len(values) or values[place] != values[start]:
            yield values[start], start, place
            start = place
