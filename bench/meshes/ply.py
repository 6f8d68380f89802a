"""PLY, with lists of any length and triangle strips; and numbers in the text of any format."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .polygons import triangles_of_strips, triangulate

Index = NDArray[np.int64]
Vertices = NDArray[np.float64]

MOST_HEADER_BYTES = 2**16
_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_CORNERS = ("vertex_indices", "vertex_index")
_MOST_CORNERS = 2**25
_MOST_ROWS_WALKED = 3_000_000
"""Rows with lists of several lengths are read one by one, some seconds for as many."""

Columns = dict[str, NDArray[np.generic]]
Lists = tuple[Index, Index]
"""The values of lists one behind the other, and the length of each."""


@dataclass
class PlyElement:
    """An element of a PLY header.

    Attributes:
        name: `vertex`, `face`, `tristrips` …
        count: of its rows.
        properties: name, type of a list's length or "" for a plain number, and type of the values.
    """

    name: str
    count: int
    properties: list[tuple[str, str, str]]

    @property
    def least_bytes(self) -> int:
        """Bytes of a binary row whose lists are empty."""
        return sum(int((length or kind)[1]) for _, length, kind in self.properties)


def ply_header(start: bytes) -> tuple[str, list[PlyElement], int]:
    """Byte order (empty for text), elements, and the bytes of a PLY file's header.

    Args:
        start: the file's first `MOST_HEADER_BYTES`.

    Raises:
        ValueError: it is no whole header.
    """
    # The line end of the first line is that of all: a lone carriage return behind `end_header` may
    # be followed by data that begins with the byte of a line feed. Editors put a mark before it.
    first = re.match(rb"(?:\xef\xbb\xbf)?ply[ \t]*(\r\n|\n|\r)", start)
    if first is None:
        raise ValueError("it does not begin with 'ply' on a line of its own")
    order, elements, at, end = None, list[PlyElement](), first.end(), first[1]
    while True:
        line, found, _ = start[at:].partition(end)
        if not found:
            raise ValueError("its header does not end")
        at += len(line) + len(end)
        words = line.decode("ascii", "replace").split()
        # Comments may hold anything, also the words of the header.
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "end_header":
            break
        if words[0] == "format" and len(words) == 3 and words[1] in _ORDERS:
            order = _ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal():
            if words[1] == "vertex" and any(item.name == "vertex" for item in elements):
                raise ValueError("its header has two elements 'vertex'")
            elements.append(PlyElement(words[1], int(words[2]), []))
        elif words[0] == "property" and elements:
            name, length, kind = _property(words)
            if any(name == known for known, *_ in elements[-1].properties):
                if name in ("x", "y", "z", *_CORNERS):
                    raise ValueError(f"its {elements[-1].name} has two properties '{name}'")
                # What is not read may be called alike: no name in a file has a blank.
                name = f"{name} {len(elements[-1].properties)}"
            elements[-1].properties.append((name, length, kind))
        else:
            raise ValueError(f"its header has the line '{' '.join(words)[:60]}'")
    if order is None:
        raise ValueError("its header names no format")
    return order, elements, at


def _property(words: Sequence[str]) -> tuple[str, str, str]:
    """Name, type of a list's length or "", and type of the values, see `PlyElement`."""
    is_list = len(words) == 5 and words[1] == "list"
    kinds = words[2:4] if is_list else words[1:2]
    if not (is_list or len(words) == 3) or any(kind not in _TYPES for kind in kinds):
        raise ValueError(f"its header has the line '{' '.join(words)[:60]}'")
    if is_list and _TYPES[kinds[0]][0] == "f":
        raise ValueError("a list whose length is no whole number")
    types = [_TYPES[kind] for kind in kinds]
    return words[-1], types[0] if is_list else "", types[-1]


def parse_ply(content: bytes) -> tuple[Vertices, Index]:
    """Vertices (V, 3) in the file's order and triangles (F, 3) of its faces, then of its strips.

    See `polygons`.

    Raises:
        ValueError: it is no whole PLY file.
    """
    order, elements, at = ply_header(content[:MOST_HEADER_BYTES])
    if not order:
        _check_first_row(content[at : at + MOST_HEADER_BYTES], elements)
    rows = _Binary(content, at, order) if order else _Text(content[at:])
    vertices, polygons = np.empty((0, 3)), [(np.empty(0, np.int64), np.empty(0, np.int64))]
    strips = [np.empty((0, 3), np.int64)]
    for element in elements:
        names = [name for name, *_ in element.properties]
        if element.name == "vertex":
            columns, _ = rows.read(element, None)
            if not {"x", "y", "z"} <= columns.keys():
                why = (
                    "lists, which are not read" if {"x", "y", "z"} <= {*names} else "no x, y and z"
                )
                raise ValueError(f"its vertices have {why}")
            vertices = np.stack([columns[axis] for axis in "xyz"], axis=1).astype(np.float64)
            continue
        wanted = next((name for name in _CORNERS if name in names), _only_whole_list(element))
        _, lists = rows.read(element, wanted)
        if lists is not None and element.name == "face":
            if not lists[1].all():
                raise ValueError("a face without corners, as where a copy was broken off")
            polygons.append(lists)
        elif lists is not None and element.name == "tristrips":
            strips.append(triangles_of_strips(*lists))
    rows.check_end()
    # At the end: faces may stand before the vertices that they name.
    values, lengths = (np.concatenate(part) for part in zip(*polygons, strict=True))
    return vertices, np.concatenate([triangulate(values, lengths, vertices), *strips])


def _check_first_row(start: bytes, elements: Sequence[PlyElement]) -> None:
    """Refuse rows with more numbers than the header states, which would run on into the next."""
    first = next((element for element in elements if element.count), None)
    if first is None or any(length for _, length, _ in first.properties):
        return
    found = len((start.splitlines() or [b""])[0].split())
    if len(first.properties) < found < first.count * len(first.properties):
        stated = len(first.properties)
        raise ValueError(f"a {first.name} row of {found} numbers, and its header states {stated}")


def _only_whole_list(element: PlyElement) -> str | None:
    """The list of whole numbers that a face must mean by its corners, whatever it is called."""
    lists = [name for name, length, kind in element.properties if length and kind[0] in "iu"]
    return lists[0] if element.name == "face" and len(lists) == 1 else None


class _Binary:
    """Rows of numbers as bytes."""

    def __init__(self, content: bytes, at: int, order: str) -> None:
        self._content, self._at, self._order = content, at, order

    def read(self, element: PlyElement, wanted: str | None) -> tuple[Columns, Lists | None]:
        """The plain columns of the next element, and one of its lists."""
        if element.count * element.least_bytes > len(self._content) - self._at:
            raise ValueError(f"it ends in its {element.name} rows")
        if not any(length for _, length, _ in element.properties):
            return self._plain(element, {}), None
        # Nearly every file has lists of one length (triangles): tried first, at once.
        lengths = self._lengths_of_first(element)
        if lengths is not None:
            held = self._at
            columns = self._equal_lists(element, lengths)
            if columns is not None:
                return columns, _lists_of(columns, wanted, lengths)
            self._at = held
        return {}, self._walk(element, wanted)

    def check_end(self) -> None:
        """Nothing: what scanners append behind the rows is no reason to refuse them."""

    def _plain(self, element: PlyElement, lengths: dict[str, int]) -> Columns:
        fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = []
        for name, length, kind in element.properties:
            if length:
                fields.append((f"length of {name}", self._order + length))
                fields.append((name, self._order + kind, (lengths[name],)))
            else:
                fields.append((name, self._order + kind))
        rows = np.frombuffer(self._content, np.dtype(fields), element.count, self._at)
        self._at += rows.nbytes
        return {name: rows[name] for name in rows.dtype.names or ()}

    def _lengths_of_first(self, element: PlyElement) -> dict[str, int] | None:
        if not element.count:
            return None
        at, lengths = self._at, {}
        for name, length, kind in element.properties:
            if length:
                lengths[name] = self._number(at, length)
                at += int(length[1]) + lengths[name] * int(kind[1])
            else:
                at += int(kind[1])
        row = at - self._at
        return lengths if row * element.count <= len(self._content) - self._at else None

    def _equal_lists(self, element: PlyElement, lengths: dict[str, int]) -> Columns | None:
        columns = self._plain(element, lengths)
        same = all((columns[f"length of {name}"] == count).all() for name, count in lengths.items())
        return columns if same else None

    def _walk(self, element: PlyElement, wanted: str | None) -> Lists | None:
        """Row by row, where lists differ in length."""
        _check_walk(element)
        values, lengths = [np.empty(0, np.int64)], []
        for _ in range(element.count):
            for name, length, kind in element.properties:
                if not length:
                    self._at += int(kind[1])
                    continue
                count = self._number(self._at, length)
                self._at += int(length[1])
                end = self._at + count * int(kind[1])
                if end > len(self._content):
                    raise ValueError(f"it ends in its {element.name} rows")
                if name == wanted:
                    part = np.frombuffer(self._content, self._order + kind, count, self._at)
                    values.append(whole_numbers(part))
                    lengths.append(count)
                self._at = end
        return None if wanted is None else (np.concatenate(values), np.array(lengths, np.int64))

    def _number(self, at: int, kind: str) -> int:
        size = int(kind[1])
        if at + size > len(self._content):
            raise ValueError("it ends early")
        order: Literal["little", "big"] = "big" if self._order == ">" else "little"
        number = int.from_bytes(self._content[at : at + size], order, signed=kind[0] == "i")
        if number < 0:
            raise ValueError(f"a list of {number} entries")
        return number


class _Text:
    """Rows of numbers as words."""

    def __init__(self, content: bytes) -> None:
        self._values = numbers_in(content)
        self._at = 0

    def read(self, element: PlyElement, wanted: str | None) -> tuple[Columns, Lists | None]:
        """The plain columns of the next element, and one of its lists."""
        left = len(self._values) - self._at
        if element.count * len(element.properties) > left:
            raise ValueError(f"it ends in its {element.name} rows")
        names = [name for name, *_ in element.properties]
        if not any(length for _, length, _ in element.properties):
            rows = self._take(element.count * len(names)).reshape(element.count, len(names))
            return dict(zip(names, rows.T, strict=True)), None
        if len(names) == 1 and element.count:
            count = int(self._values[self._at])
            end = self._at + element.count * (count + 1)
            block = self._values[self._at : end]
            if count >= 0 and len(block) == element.count * (count + 1):
                rows = block.reshape(element.count, count + 1)
                if (rows[:, 0] == count).all():
                    self._at = end
                    lists: Columns = {names[0]: rows[:, 1:]}
                    return {}, _lists_of(lists, wanted, {names[0]: count})
        return {}, self._walk(element, wanted)

    def check_end(self) -> None:
        """Refuse numbers behind the last row: rows longer than stated read as other rows."""
        left = len(self._values) - self._at
        if left:
            raise ValueError(f"{left:,} numbers more than its header states")

    def _walk(self, element: PlyElement, wanted: str | None) -> Lists | None:
        _check_walk(element)
        values, lengths = [np.empty(0)], []
        for _ in range(element.count):
            for name, length, _ in element.properties:
                count = int(self._take(1)[0]) if length else 1
                part = self._take(count)
                if name == wanted:
                    values.append(part)
                    lengths.append(count)
        if wanted is None:
            return None
        return whole_numbers(np.concatenate(values)), np.array(lengths, np.int64)

    def _take(self, count: int) -> Vertices:
        if not 0 <= count <= len(self._values) - self._at:
            raise ValueError("it ends early")
        self._at += count
        return self._values[self._at - count : self._at]


def _check_walk(element: PlyElement) -> None:
    if element.count > _MOST_ROWS_WALKED:
        raise ValueError(f"{element.count:,} {element.name} rows with lists of several lengths")


def _lists_of(columns: Columns, wanted: str | None, lengths: dict[str, int]) -> Lists | None:
    if wanted is None:
        return None
    if columns[wanted].size > _MOST_CORNERS:
        raise ValueError(f"faces of {columns[wanted].size:,} corners")
    lists = whole_numbers(columns[wanted])
    return lists.reshape(-1), np.full(len(lists), lengths[wanted], np.int64)


def whole_numbers(values: NDArray[np.generic]) -> Index:
    """Vertex numbers as integers; refused where one is a fraction or no number."""
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    if values.dtype.kind == "f" and not np.array_equal(whole, values):
        raise ValueError("a corner that is no whole number")
    return whole


def numbers_in(text: bytes, count: int | None = None) -> Vertices:
    """All numbers of a text, refused where one is none."""
    # The parser stops at what is no number, with a warning, and takes `1-2` for two of them.
    with warnings.catch_warnings(), suppress(DeprecationWarning, ValueError):
        warnings.simplefilter("error", DeprecationWarning)
        values = np.fromstring(text, np.float64, sep=" ")
        if count is None or len(values) == count:
            return values
    raise ValueError(not_a_number(next(filter(None, map(_no_number, text.split())), "")))


def _no_number(word: bytes) -> str:
    """A word that is no number as text; empty for a number."""
    with suppress(ValueError):
        float("_" if b"_" in word else word)  # Python takes 1_000
        return ""
    return word[:40].decode("utf-8", "replace")


def not_a_number(word: str) -> str:
    """What to say of a word that is none, also where a decimal comma is why."""
    comma = re.fullmatch(r"[+-]?\d*,\d+(e[+-]?\d+)?", word, re.IGNORECASE)
    return f"'{word}' is not a number" + (": write a decimal point" if comma else "")
