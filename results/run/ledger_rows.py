"""A chunk's row as a ledger keeps it: a line of a Parquet table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...bench.frames.chunks import ChunkRow
from ...errors import FacebenchError
from ...recon.files.parquet import read_table

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
PLAIN = [name for name in SCHEMA.names if name not in ARRAYS]
"""Columns of one value each."""

_FIELDS = pa.schema([*SCHEMA, *EXTRA.items()])
_OF_ROW = [item.name for item in fields(ChunkRow)]


@dataclass(frozen=True)
class Clock:
    """When a row was done.

    Attributes:
        command: when the command that wrote it began, which tells commands apart.
        elapsed: seconds since that command began to read frames.
    """

    command: str = ""
    elapsed: float = 0.0


def table_of(row: ChunkRow, clock: Clock) -> pa.Table:
    """A table of one row, with the columns of `EXTRA` that it has."""
    arrays = {name: getattr(row, name) for name in ARRAYS}
    lists = {name: array.ravel().tolist() for name, array in arrays.items() if array is not None}
    extra = [pa.field(name, kind) for name, kind in EXTRA.items() if name in lists]
    return pa.Table.from_pylist(
        [{**vars(row), **vars(clock), **lists}], schema=pa.schema([*SCHEMA, *extra])
    )


def read_rows(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a file with the columns asked for, or all; none where the file is damaged."""
    table = _whole(path, columns)
    return SCHEMA.empty_table().select(list(columns or SCHEMA.names)) if table is None else table


def is_whole(path: Path) -> bool:
    """Whether every column of a file can be read."""
    return _whole(path) is not None


def write_rows(table: pa.Table, path: Path) -> None:
    """Write a file whose pages carry a checksum: a changed bit may still unpack to numbers."""
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def rows_of(table: pa.Table) -> list[ChunkRow]:
    """The rows of a table that has all columns of a `ChunkRow`."""
    names = [name for name in table.column_names if name in _OF_ROW]
    plain = table.select([name for name in names if name not in ARRAYS]).to_pylist()
    arrays = {name: table[name] for name in names if name in ARRAYS}
    return [
        _row(values, {name: column[number].values for name, column in arrays.items()})
        for number, values in enumerate(plain)
    ]


def _whole(path: Path, columns: Sequence[str] | None = None) -> pa.Table | None:
    try:
        table = read_table(path, columns)
        table = table.cast(pa.schema([_FIELDS.field(name) for name in table.column_names]))
        missing = any(table[name].null_count for name in columns or SCHEMA.names)
    except (FacebenchError, pa.ArrowException, KeyError):
        return None
    return None if missing else table


def _row(values: dict[str, Any], lists: dict[str, pa.Array | None]) -> ChunkRow:
    arrays = {name: array.to_numpy() for name, array in lists.items() if array is not None}
    vectors = arrays.pop("vectors", None)
    if vectors is not None and values["faces"]:
        arrays["vectors"] = vectors.reshape(values["faces"], -1)
    return ChunkRow(**values, **arrays)
