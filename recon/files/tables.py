"""Arrays out of `.npy` and `.npz` files and tables out of Parquet, no larger than they may be.

NumPy makes room for whatever shape a header tells before it reads; here the shape is held against
the bytes that are there, and against a limit, first. In Parquet a few bytes of a column can stand
for any number of equal values, so row groups are bounded before they are unpacked.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line

MOST_BYTES = 2**30
"""Of all arrays of a file together: the largest face model known takes 0.35 GB."""

_MOST_MEMBERS = 1000
_BLOCK_BYTES = 2**24
_PLAIN = "fiubU"
_PICKLED = "save plain arrays with numpy.savez; pickles are never loaded"
_DAMAGED = "it is truncated or damaged; copy or export it again"

MOST_ROWS = 10_000_000
MOST_TABLE_BYTES = 2**30
"""Of what is read of a file at once, unpacked."""

_ROWS_AT_ONCE = 65_536
_AGAIN = "it is damaged or of another kind; make it again"


@contextmanager
def _damage_as_message(path: Path, ending: str) -> Iterator[None]:
    """Turn whatever a library raises of a damaged file into one line."""
    try:
        yield
    except FacebenchError:
        raise
    except Exception as error:
        said = f"{path}: not a whole {ending} file ({error_line(error)})"
        raise FacebenchError(said, _DAMAGED) from error


def read_npz_arrays(
    path: Path, names: Iterable[str] | None = None, most: int = MOST_BYTES
) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz` file by name.

    Args:
        path: the file.
        names: which to read, where they are there; all when None.
        most: bytes that they may take together.

    Raises:
        FacebenchError: it is no whole `.npz` file, holds pickles, or is larger.
    """
    arrays = {}
    with _damage_as_message(path, ".npz"), zipfile.ZipFile(path) as archive:
        members = _members(archive, path, names)
        if sum(member.file_size for member in members.values()) > most:
            raise FacebenchError(f"{path}: arrays of more than {most / 2**20:g} MiB")
        for name, member in members.items():
            with archive.open(member) as file:
                arrays[name] = _array(file, member.file_size, f"{path}: '{name}'")
    return arrays


def npz_shape(path: Path, name: str) -> tuple[int, ...]:
    """The shape of an array in an `.npz` file; () where there is none of the name.

    Raises:
        FacebenchError: it is no whole `.npz` file.
    """
    shape: tuple[int, ...] = ()
    with _damage_as_message(path, ".npz"), zipfile.ZipFile(path) as archive:
        for member in _members(archive, path, [name]).values():
            with archive.open(member) as file:
                shape = _header(file)[0]
    return shape


def read_npy_array(path: Path, most: int = MOST_BYTES) -> NDArray[Any]:
    """The array of an `.npy` file.

    Raises:
        FacebenchError: it is no whole `.npy` file, holds pickles, or is larger.
    """
    with _damage_as_message(path, ".npy"), path.open("rb") as file:
        size = path.stat().st_size
        if size > most:
            raise FacebenchError(f"{path}: more than {most / 2**20:g} MiB")
        return _array(file, size, str(path))


def _members(
    archive: zipfile.ZipFile, path: Path, names: Iterable[str] | None
) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > _MOST_MEMBERS:
        raise FacebenchError(f"{path}: {len(infos):,} arrays in it", "expected a few")
    found = {item.filename.removesuffix(".npy"): item for item in infos}
    wanted = found if names is None else [name for name in names if name in found]
    return {name: found[name] for name in wanted}


def _array(file: IO[bytes], size: int, where: str) -> NDArray[Any]:
    """The one array of a stream of so many bytes."""
    shape, in_columns, kind = _header(file)
    if kind.hasobject:
        raise FacebenchError(f"{where} holds pickled objects", _PICKLED)
    if kind.kind not in _PLAIN or any(length < 0 for length in shape):
        raise FacebenchError(f"{where} is {kind} {shape}, no plain numbers", _DAMAGED)
    n_bytes = math.prod(shape) * kind.itemsize
    if n_bytes > size:
        raise FacebenchError(f"{where} is {shape} by its header, which does not fit", _DAMAGED)
    flat = np.empty(math.prod(shape), kind)
    if not _fill(flat.view(np.uint8) if n_bytes else flat[:0], file):
        raise FacebenchError(f"{where} ends early", _DAMAGED)
    return flat.reshape(shape, order="F" if in_columns else "C")


def _fill(room: NDArray[Any], file: IO[bytes]) -> bool:
    """Read into an array (N,) of bytes, block by block; whether there were as many."""
    for start in range(0, len(room), _BLOCK_BYTES):
        block = room[start : start + _BLOCK_BYTES]
        content = file.read(len(block))
        if len(content) < len(block):
            return False
        block[:] = np.frombuffer(content, np.uint8)
    return True


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"version {version[0]}.{version[1]} of the format")


def open_parquet(path: Path, **options: Any) -> Any:
    """A file whose row groups are not too large to be read one at a time.

    Args:
        path: the file.
        options: for `pyarrow.parquet.ParquetFile`.

    Raises:
        FacebenchError: there is no such file, it is no Parquet file, or a row group is too large.
    """
    try:
        # Unbuffered: by default all columns asked for are in memory, packed, before the first row.
        options = {"page_checksum_verification": True, "pre_buffer": False, **options}
        # From a stream of its own the file is closed when it cannot be read.
        file = pq.ParquetFile(path, **options)
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        sizes = [(group.num_rows, group.total_byte_size) for group in groups]
    except Exception as error:  # the library raises as many kinds as there are fields
        raise parquet_error(path, error) from error
    for rows, size in sizes:
        if not 0 <= rows <= MOST_ROWS or not 0 <= size <= MOST_TABLE_BYTES:
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
    return pa.concat_tables(read_parts(path, columns))


def read_parts(path: Path, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """The same in one or more tables, of which only one needs to be in memory at a time.

    Raises:
        FacebenchError: as `read_table`.
    """
    file = open_parquet(path)
    missing = [name for name in columns or () if name not in file.schema_arrow.names]
    if missing:
        raise FacebenchError(f"{path}: no column {', '.join(missing)}", _AGAIN)
    try:
        size, rows = 0, 0
        for batch in file.iter_batches(_rows_at_once(file), columns=columns):
            size, rows = size + batch.nbytes, rows + len(batch)
            if size > MOST_TABLE_BYTES or rows > MOST_ROWS:
                raise FacebenchError(f"{path}: more than {MOST_TABLE_BYTES / 2**20:g} MiB", _AGAIN)
            yield pa.Table.from_batches([batch])
        if not rows:
            yield file.schema_arrow.empty_table().select(columns or file.schema_arrow.names)
    except FacebenchError:
        raise
    except Exception as error:  # as above
        raise parquet_error(path, error) from error


def write_table(table: Any, path: Path, **options: Any) -> None:
    """Write a `pyarrow.Table` to a file of any name.

    Args:
        table: its rows.
        path: the file.
        options: for `pyarrow.parquet.write_table`.
    """
    # The library encodes names itself, and fails at those that are no UTF-8.
    with path.open("wb") as file:
        pq.write_table(table, file, **options)


def parquet_error(path: Path, error: Exception) -> FacebenchError:
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
    return max(1, min(_ROWS_AT_ONCE, MOST_TABLE_BYTES // max(1, *map(int, texts), 1)))
