"""Parquet files as tables: told apart from damaged ones, and bounded before they are unpacked.

A few bytes of a column can stand for any number of equal values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import FacebenchError, error_line

MOST_ROWS = 10_000_000
MOST_BYTES = 2**30
"""Of what is read of a file at once, unpacked."""

_ROWS_AT_ONCE = 65_536
_AGAIN = "it is damaged or of another kind; make it again"


def opened_parquet(path: Path, **options: Any) -> Any:
    """A file whose row groups are not too large to be read one at a time.

    Args:
        path: the file.
        options: for `pyarrow.parquet.ParquetFile`.

    Raises:
        FacebenchError: there is no such file, it is no Parquet file, or a row group is too large.
    """
    try:
        # From a stream of its own the file is closed when it cannot be read.
        file = pq.ParquetFile(path, page_checksum_verification=True, **options)
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        sizes = [(group.num_rows, group.total_byte_size) for group in groups]
    except Exception as error:  # the library raises as many kinds as there are fields
        raise unreadable(path, error) from error
    for rows, size in sizes:
        if not 0 <= rows <= MOST_ROWS or not 0 <= size <= MOST_BYTES:
            raise FacebenchError(f"{path}: {rows:,} rows of {size:,} bytes at once", _AGAIN)
    return file


def read_table(path: Path, columns: Sequence[str] | None = None) -> Any:
    """All rows of a file as a `pyarrow.Table`.

    Args:
        path: the file.
        columns: which to read; all when None.

    Raises:
        FacebenchError: there is no such file, it cannot be read, lacks a column, or is too large.
    """
    file = opened_parquet(path)
    missing = [name for name in columns or () if name not in file.schema_arrow.names]
    if missing:
        raise FacebenchError(f"{path}: no column {', '.join(missing)}", _AGAIN)
    try:
        batches, size, rows = [], 0, 0
        for batch in file.iter_batches(_rows_at_once(file), columns=columns):
            size, rows = size + batch.nbytes, rows + len(batch)
            if size > MOST_BYTES or rows > MOST_ROWS:
                raise FacebenchError(f"{path}: more than {MOST_BYTES / 2**20:g} MiB", _AGAIN)
            batches.append(batch)
        if batches:
            return pa.Table.from_batches(batches)
        return file.schema_arrow.empty_table().select(columns or file.schema_arrow.names)
    except FacebenchError:
        raise
    except Exception as error:  # as above
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> FacebenchError:
    """What to say of a file for which the library raised an error."""
    return FacebenchError(f"{path} cannot be read ({error_line(error)})", _AGAIN)


def _rows_at_once(file: Any) -> int:
    """As many as stay within bounds if each has the largest value that its column can hold."""
    metadata = file.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    texts = [
        column.total_uncompressed_size
        for group in groups
        for column in (group.column(i) for i in range(group.num_columns))
        if column.physical_type == "BYTE_ARRAY"
    ]
    return max(1, min(_ROWS_AT_ONCE, MOST_BYTES // max(1, *map(int, texts), 1)))
