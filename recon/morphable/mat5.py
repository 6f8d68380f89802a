"""Numeric arrays out of MATLAB v5 files; objects are refused, nothing in them is executed.

Every size that a file claims is held against the bytes that are there before it is believed.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .load import FileKind, expect_kind

FILE_OF_VARIABLE: Mapping[str, str] = {
    "shapeMU": "BFM 2009's 01_MorphableModel.mat",
    "meanshape": "BFM_model_front.mat",
    "trimIndex": "BFM_exp_idx.mat",
    "idx": "BFM_front_idx.mat",
    "select_id": "select_vertex_id.mat",
    "keypoints": "facemodel_info.mat",
}
"""By which variable a MATLAB file of this family is recognised."""

MOST_BYTES = 2**30
"""Of one variable; the largest of BFM 2009 has 0.13 GB."""

_HEADER, _TAG = 128, 8
_HEAD_BYTES = 4096
"""Flags, shape and name of a variable stand in these first bytes of it."""

_MATRIX, _PACKED = 14, 15
_COMPLEX_FLAG = 0x08
_MOST_AXES = 32

_STORED: Mapping[int, str] = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
"""Types of stored numbers: doubles that are whole are stored as the smallest that holds them."""

_CLASSES: Mapping[int, str] = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
"""MATLAB's classes of numbers; what is missing are texts, cells, structures and objects."""


def variables_of(path: Path, fetch: str) -> tuple[str, ...]:
    """Names of the variables in the file.

    Raises:
        FacebenchError: it is missing, of another kind or damaged.
    """
    return tuple(_read_variables(path, fetch))


def read_mat(path: Path, names: Sequence[str], fetch: str) -> dict[str, NDArray[Any]]:
    """Numeric variables of the given names.

    Args:
        path: a MATLAB v5 file.
        names: the variables to read; all are needed.
        fetch: where the right file comes from, for the error.

    Raises:
        FacebenchError: the file is missing, damaged or another one, or a variable is no numbers.
    """
    present = _read_variables(path, fetch)
    missing = [name for name in names if name not in present]
    if missing:
        raise FacebenchError(f"{path}: no {', '.join(missing)}", _looks_like(tuple(present), fetch))
    for name in names:
        if not present[name].is_numeric:
            raise FacebenchError(f"{path}: {name} holds no plain numbers", "take the original file")
    try:
        return {name: present[name].values(path) for name in names}
    except (OSError, DamagedMatError) as error:
        raise _damage_error(path, error, fetch) from error


def _read_variables(path: Path, fetch: str) -> dict[str, Variable]:
    expect_kind(path, FileKind.MAT5, fetch)
    try:
        return {item.name: item for item in variables(path)}
    except (OSError, DamagedMatError) as error:
        raise _damage_error(path, error, fetch) from error


def _looks_like(present: Sequence[str], fetch: str) -> str:
    known = [FILE_OF_VARIABLE[name] for name in present if name in FILE_OF_VARIABLE]
    if known:
        return f"this looks like {known[0]}; {fetch}"
    return f"it holds {', '.join(present[:5]) or 'nothing'}; {fetch}"


def _damage_error(path: Path, error: Exception, fetch: str) -> FacebenchError:
    return FacebenchError(f"{path}: truncated or damaged ({error})", f"copy it again; {fetch}")


class DamagedMatError(Exception):
    """An element does not hold what it says; the text is for a user."""


class Variable:
    """A variable of a file and what it says of itself; no array is read.

    Args:
        file: is open to be read.
        order: of its bytes, `<` or `>`.
        start, size: its bytes in the file, without its tag.
        packed: whether they are compressed.

    Attributes:
        name: of the variable.
        is_numeric: whether it is an array of real numbers.

    Raises:
        DamagedMatError: it does not hold what it says.
    """

    def __init__(self, file: IO[bytes], order: str, start: int, size: int, packed: bool) -> None:
        self.name = ""
        self._order, self._start, self._size, self._packed = order, start, size, packed
        head = self._content(file, _HEAD_BYTES, whole=False)
        _, at, length = _element(head, 0, order)
        flags = struct.unpack_from(f"{order}I", _slice(head, at, max(length, 4)))[0]
        _, at, length = _element(head, _after(at, length), order)
        axes = _slice(head, at, length)
        self._shape = struct.unpack(f"{order}{len(axes) // 4}i", axes[: len(axes) // 4 * 4])
        # NumPy takes 32 axes at most and reports more in its own words.
        if len(self._shape) > _MOST_AXES or any(n < 0 for n in self._shape):
            raise DamagedMatError(f"a variable with {len(self._shape)} axes or a negative one")
        _, at, length = _element(head, _after(at, length), order)
        self.name = _slice(head, at, length).decode("latin-1")
        self._kind, self._data = flags & 0xFF, _after(at, length)
        self.is_numeric = self._kind in _CLASSES and not flags >> 8 & _COMPLEX_FLAG

    def values(self, path: Path) -> NDArray[Any]:
        """The array of a numeric variable of the file, of MATLAB's class.

        Raises:
            OSError, DamagedMatError: its bytes are not as many as its shape needs, or damaged.
        """
        with path.open("rb") as file:
            content = self._content(file, MOST_BYTES)
        kind, start, length = _element(content, self._data, self._order)
        if kind not in _STORED:
            raise DamagedMatError(f"{self.name} has numbers of an unknown type {kind}")
        stored = np.dtype(self._order + _STORED[kind])
        # Python integers: a product of damaged axes must not wrap around and look small.
        count = math.prod(self._shape)
        if count * stored.itemsize != length or start + length > len(content):
            raise DamagedMatError(f"{self.name} has {length} bytes for {self._shape}")
        values = np.frombuffer(content, stored, count, start)
        # MATLAB writes a double array of small whole numbers as bytes.
        of_class = values.astype(_CLASSES[self._kind], copy=False)
        # Column by column, as all of MATLAB.
        return of_class.reshape(self._shape, order="F")

    def _content(self, file: IO[bytes], most: int, whole: bool = True) -> bytes:
        """Its bytes, unpacked and without its tag: at most so many, or they are refused."""
        file.seek(self._start)
        if not self._packed:
            if whole and self._size > most:
                raise DamagedMatError(f"{self.name} is larger than {most / 2**20:g} MiB")
            return file.read(min(self._size, most))
        # A bounded unpacker: a few kB can be made to unpack to gigabytes.
        unpacker = zlib.decompressobj()
        try:
            content = unpacker.decompress(file.read(self._size if whole else most), most)
        except zlib.error as error:
            raise DamagedMatError(f"a packed variable: {error}") from error
        # Input left over at the limit: there is more than we are willing to take.
        if whole and unpacker.unconsumed_tail:
            raise DamagedMatError(f"{self.name} is larger than {most / 2**20:g} MiB")
        if whole and not unpacker.eof:
            raise DamagedMatError(f"{self.name} ends early")
        if len(content) < _TAG or struct.unpack_from(f"{self._order}I", content)[0] != _MATRIX:
            raise DamagedMatError("a packed element that is no variable")
        return content[_TAG:]


def variables(path: Path) -> Iterator[Variable]:
    """Every variable of a file, in its order; no array is read.

    Raises:
        OSError, DamagedMatError: the file cannot be read, is cut off, or damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        # The header ends in a number whose two bytes spell MI where the file is in our byte order.
        order = {b"IM": "<", b"MI": ">"}.get(file.read(_HEADER)[-2:])
        if order is None:
            raise DamagedMatError("its header ends early")
        position = _HEADER
        while position < size:
            kind, length = _tag(file, position, order)
            start, position = position + _TAG, position + _TAG + length
            # A truncated download is seen here, before anything of it is unpacked.
            if position > size:
                raise DamagedMatError(f"{size} of at least {position} bytes")
            if kind in (_MATRIX, _PACKED):
                yield Variable(file, order, start, length, kind == _PACKED)


def _tag(file: IO[bytes], position: int, order: str) -> tuple[int, int]:
    file.seek(position)
    tag = file.read(_TAG)
    if len(tag) < _TAG:
        raise DamagedMatError("it ends within an element")
    kind, length = struct.unpack(f"{order}II", tag)
    return kind, length


def _element(content: bytes, position: int, order: str) -> tuple[int, int, int]:
    """Type, first byte and length of the element at a position; four bytes fit into its tag."""
    tag = _slice(content, position, 4)
    (first,) = struct.unpack(f"{order}I", tag)
    # The small format: length and type share the tag, the four data bytes follow in it.
    if first >> 16:
        return first & 0xFFFF, position + 4, first >> 16
    (length,) = struct.unpack(f"{order}I", _slice(content, position + 4, 4))
    return first, position + _TAG, length


def _after(start: int, length: int) -> int:
    """Where the next element begins: at the next multiple of eight."""
    # Elements are padded to eight bytes; their stated length leaves the padding out.
    return (start + length + 7) // 8 * 8


def _slice(content: bytes, start: int, length: int) -> bytes:
    if length < 0 or start + length > len(content):
        raise DamagedMatError("a variable's description reaches beyond it")
    return content[start : start + length]
