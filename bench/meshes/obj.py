"""Reading Wavefront OBJ, in the dialects of the programs that write it.

The common readers split lines at one blank, so a tab, a byte order mark or a carriage return loses
a vertex and shifts every triangle by one. Here a file is tokens on any white space, a block of
lines at a time, and what cannot be read is refused with its line.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from .ply import not_a_number
from .polygons import triangulate

Bytes = NDArray[np.uint8]
Index = NDArray[np.int64]

_BLOCK_BYTES = 2**22
"""Read at once, up to the next line end: the arrays of a block's tokens take twenty times that."""
_MOST_DIGITS = 9
_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")

_SPACE = np.zeros(256, bool)
_SPACE[list(b" \t\n\v\f")] = True
_NUMERIC, _ELEMENT = np.zeros((2, 256), bool)
_NUMERIC[list(b"0123456789+-.")] = _ELEMENT[list(b"vf")] = True
# A value such as `1.#QNAN` (Microsoft's not-a-number) must not become 1: a comment has white space
# or a line's start before it.
_COMMENT = re.compile(rb"(?<![^\s])#[^\n]*")
_CONTINUED = re.compile(rb"\\[ \t]*\n")
_CONTINUED_ELEMENT = re.compile(rb"^[ \t]*[vf](?=[ \t\\])(?:[^\n]*\\[ \t]*\n)+[^\n]*", re.MULTILINE)
_OLD_FACE = re.compile(rb"^([ \t]*f)o(?=[ \t\\])", re.MULTILINE)
"""The word for a face before version 3.0, which some exporters still write."""
_NOT_FINITE = re.compile(rb"[+-]?(?:1\.)?#(?:QNAN|SNAN|IND|INF)[0-9]*|[+-]?nan\([a-z]+\)", re.I)


class ObjError(ValueError):
    """A line that is no OBJ.

    Args:
        line: its number, counted from 1.
        problem: what is wrong with it.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line:,}: {problem}")


def parse_obj(
    content: bytes, most_vertices: int, most_triangles: int
) -> tuple[NDArray[np.float64], Index]:
    """Vertices (V, 3) in the file's order and triangles (F, 3), counted from 0.

    Of polygons see `polygons`. Groups, normals, texture coordinates, colours and weights of
    vertices, lines and curves are passed over. A negative index counts back from where it stands.
    Vertices that are not finite are kept as NaN.

    Args:
        content: the bytes of the file.
        most_vertices, most_triangles: more are refused.

    Raises:
        ObjError: a vertex without three numbers, an index that is none, 0 or beyond the vertices,
            or a file that ends in a face of fewer than three corners.
        ValueError: there are more vertices or triangles than that, or zero bytes.
    """
    text = _plain_text(content)
    _refuse_cut(text)
    vertices: list[NDArray[np.float64]] = []
    corners, lengths = list[Index](), list[Index]()
    count = n_triangles = line = 0
    # Absolute indices may name vertices that come later, so those are checked at the end.
    latest = _Latest()
    for block in _blocks(text):
        tokens = _Tokens(block, line)
        found = tokens.vertices()
        (index, token), sizes = tokens.polygons(count)
        latest.see(index, token, tokens)
        count += len(found)
        n_triangles += int((sizes - 2).sum())
        if count > most_vertices:
            raise ValueError(f"{count:,} vertices or more, and at most {most_vertices:,} are read")
        if n_triangles > most_triangles:
            raise ValueError(
                f"{n_triangles:,} triangles or more, and at most {most_triangles:,} are read"
            )
        vertices.append(found)
        corners.append(index - 1)
        lengths.append(sizes)
        line += tokens.n_lines
    latest.check(count)
    if not vertices:
        return np.empty((0, 3)), np.empty((0, 3), np.int64)
    points = np.concatenate(vertices)
    return points, triangulate(np.concatenate(corners), np.concatenate(lengths), points)


def _refuse_cut(text: bytes) -> None:
    """Such faces have no area and are left out; at the end of a file they say that it was cut."""
    last = text[-4096:].rstrip().rpartition(b"\n")[2].split()
    if last[:1] == [b"f"] and len(last) < 4:
        line = text.rstrip().count(b"\n") + 1
        raise ObjError(line, "the file ends in a face of fewer than 3 corners: it is cut off")


def _plain_text(content: bytes) -> bytes:
    """The text with one kind of line end and without comments, every line where it was."""
    if content.startswith(_WIDE_MARKS):
        content = content.decode("utf-16").encode()
    text = content.removeprefix(_MARK).removesuffix(b"\0")  # the end of a string of C
    # Zeros stand where a copy was broken off: the faces behind them would be lost in silence.
    if b"\0" in text:
        raise ValueError("zero bytes in its text: half a copy, or UTF-16 without its mark")
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    # Comments go first: a path that ends in a backslash in one must not swallow the next line.
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    if b"fo" in text:
        text = _OLD_FACE.sub(rb"\1", text)
    if b"\\" in text:
        text = _CONTINUED_ELEMENT.sub(_join_lines, text)
    return text


def _join_lines(found: re.Match[bytes]) -> bytes:
    """The lines of one element as one, its line ends behind it so that later lines keep numbers."""
    element, ends = _CONTINUED.subn(b" ", found[0])
    return element + b"\n" * ends


def _blocks(text: bytes) -> Iterator[Bytes]:
    """The text in blocks of whole lines, each with a line end behind it."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _BLOCK_BYTES)
        end = len(text) if end < 0 else end + 1
        part = text[start:end]
        yield np.frombuffer(part if part.endswith(b"\n") else part + b"\n", np.uint8)
        start = end


class _Tokens:
    """The words of a block, where they start, and the lines of its elements.

    Args:
        block: whole lines.
        line: lines before the block.
    """

    def __init__(self, block: Bytes, line: int) -> None:
        self.block, self.line = block, line
        space = _SPACE[block]
        edges = np.flatnonzero(space[1:] != space[:-1]) + 1
        # Between a word and the next the state changes twice; a block that starts with a word has
        # its first edge at 0. The last byte is a line end, so every word ends.
        if not space[0]:
            edges = np.concatenate([[0], edges])
        self.starts, self.ends = edges[0::2], edges[1::2]
        self.line_ends = np.flatnonzero(block == ord("\n"))
        self.n_lines = len(self.line_ends)
        self.lines = np.searchsorted(self.line_ends, self.starts)
        self._first = np.flatnonzero(np.diff(self.lines, prepend=-1))
        self._behind = np.append(self._first[1:], len(self.starts))
        short = self.ends[self._first] - self.starts[self._first] == 1
        begin = block[self.starts[self._first]]
        self._letter = np.where(short, begin, 0)
        # A line that begins with a number goes on with the one before, whose end lacks a backslash.
        lost = np.flatnonzero(_NUMERIC[begin[1:]] & _ELEMENT[self._letter[:-1]])
        for token in self._first[lost + 1].tolist():
            if any(map(str.isdigit, self.word(token))):  # A line of dashes is an ornament.
                raise ObjError(self.number_of(token), "numbers without a letter before them")

    def number_of(self, token: int) -> int:
        """The line of a token in the file, from 1."""
        return self.line + int(self.lines[token]) + 1

    def word(self, token: int) -> str:
        """A token as text for a message."""
        content = self.block[self.starts[token] : self.ends[token]][:40].tobytes()
        return content.decode("utf-8", "replace")

    def vertices(self) -> NDArray[np.float64]:
        """The first three numbers of every `v` line (V, 3)."""
        place = np.flatnonzero(self._letter == ord("v"))
        first, behind = self._first[place] + 1, self._behind[place]
        if not len(place):
            return np.empty((0, 3))
        lacking = np.flatnonzero(behind - first < 3)
        if len(lacking):
            raise ObjError(self.number_of(int(first[lacking[0]] - 1)), "a vertex of < 3 numbers")
        values = self._numbers(first, behind)
        # Columns behind the third are a weight or a colour, and may be in some lines only.
        counts = behind - first
        if counts[0] * len(counts) == len(values) and (counts == counts[0]).all():
            return np.ascontiguousarray(values.reshape(len(counts), -1)[:, :3])
        begin = np.cumsum(counts) - counts
        return np.ascontiguousarray(values[begin[:, None] + np.arange(3)])

    def _numbers(self, first: Index, behind: Index) -> NDArray[np.float64]:
        """All numbers of runs of tokens, one after the other."""
        steps = np.zeros(len(self.block) + 1, np.int8)
        steps[self.starts[first]] += 1
        steps[self.ends[behind - 1] + 1] -= 1
        inside = np.cumsum(steps[:-1], dtype=np.int8).astype(bool)
        text = self.block[inside].tobytes()
        expected = int((behind - first).sum())
        # It takes `1-2` for two numbers and stops at what is none, with a warning: all is well only
        # where it came to the end and found as many as there are words.
        with warnings.catch_warnings(), suppress(DeprecationWarning, ValueError):
            warnings.simplefilter("error", DeprecationWarning)
            values = np.fromstring(text, np.float64, sep=" ")
            if len(values) == expected:
                return values
        runs = zip(first.tolist(), behind.tolist(), strict=True)
        return np.array([self._number(token) for run in runs for token in range(*run)])

    def _number(self, token: int) -> float:
        word = self.word(token)
        if _NOT_FINITE.fullmatch(word.encode()):
            return float("nan")
        try:
            # Python also takes 1_000, which no other reader does.
            return float("_" if "_" in word else word)
        except ValueError:
            raise ObjError(self.number_of(token), not_a_number(word)) from None

    def polygons(self, before: int) -> tuple[tuple[Index, Index], Index]:
        """Corners of the `f` lines: indices, counted from 1, and tokens; and how many each has.

        Args:
            before: vertices in the blocks before this one.
        """
        place = np.flatnonzero(self._letter == ord("f"))
        first, counts = self._first[place] + 1, self._behind[place] - self._first[place] - 1
        solid = counts >= 3
        first, counts, place = first[solid], counts[solid], place[solid]
        nothing = np.empty(0, np.int64)
        if not len(first):
            return (nothing, nothing), nothing
        begin = np.cumsum(counts) - counts
        token = np.repeat(first - begin, counts) + np.arange(counts.sum())
        index = self._indices(token)
        if (index < 0).any():
            # Relative indices count from the vertices above their own line, not from the last.
            is_vertex = np.cumsum(self._letter == ord("v"))
            above = np.repeat(before + is_vertex[place], counts)
            index = np.where(index < 0, above + index + 1, index)
            if (index < 1).any():
                bad = int(token[np.flatnonzero(index < 1)[0]])
                raise ObjError(self.number_of(bad), f"'{self.word(bad)}' counts back too far")
        return (index, token), counts

    def _indices(self, token: Index) -> Index:
        """The number in front of the first slash of each token."""
        at = self.starts[token]
        negative = self.block[at] == ord("-")
        at = at + negative
        value = np.zeros(len(token), np.int64)
        n_digits = np.zeros(len(token), np.int64)
        active = np.ones(len(token), bool)
        for _ in range(_MOST_DIGITS + 1):
            digit = self.block[at] - np.uint8(ord("0"))  # other characters wrap to 10 and more
            active &= digit < 10
            if not active.any():
                break
            value = np.where(active, value * 10 + digit, value)
            n_digits += active
            at = at + active
        after = self.block[at]
        bad = (n_digits < 1) | (n_digits > _MOST_DIGITS) | ~(_SPACE[after] | (after == ord("/")))
        if bad.any():
            first = int(token[np.flatnonzero(bad)[0]])
            raise ObjError(self.number_of(first), f"'{self.word(first)}' names no vertex")
        zero = np.flatnonzero(value == 0)
        if len(zero):
            line = self.number_of(int(token[zero[0]]))
            raise ObjError(line, "a face names vertex 0, and OBJ counts from 1")
        return np.where(negative, -value, value)


class _Latest:
    """The largest vertex number that a face has named, and where."""

    def __init__(self) -> None:
        self._index, self._line, self._word = 0, 0, ""

    def see(self, index: Index, token: Index, tokens: _Tokens) -> None:
        """Look at the corners of a block."""
        if len(index) and index.max() > self._index:
            place = int(index.argmax())
            self._index = int(index[place])
            self._line = tokens.number_of(int(token[place]))
            self._word = tokens.word(int(token[place]))

    def check(self, count: int) -> None:
        """Refuse it where there are fewer vertices."""
        if self._index > count:
            raise ObjError(self._line, f"'{self._word}' names one of {count:,} vertices")
