"""STL, and Geomview's OFF as text: any of its headers, colours behind vertices or faces, comments.

A row of OFF is a line: what stands behind a vertex's coordinates or a face's corners is passed
over.
Source: "Geomview Manual", OFF Files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .ply import MOST_HEADER_BYTES, Index, Vertices, numbers_in, whole_numbers
from .polygons import triangulate

_HEADER = re.compile(rb"(ST)?C?N?(4)?(n)?OFF", re.IGNORECASE)

_STL_HEADER, _STL_TRIANGLE = 84, 50
_STL_FIELDS = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])

Rows = Iterator[tuple[int, bytes]]


def off_counts(rows: Rows) -> tuple[int, int]:
    """The vertices and faces that a file states; its rows then go on with the first vertex.

    Args:
        rows: lines with their numbers, from 1, see `off_rows`.

    Raises:
        ValueError: it is no OFF, or one of four coordinates or of bytes.
    """
    _, line = next(rows, (0, b""))
    words = line.split()
    header = _HEADER.fullmatch(words[0]) if words else None
    if header is None:
        raise ValueError("it does not begin with OFF")
    if header[2] or header[3] or words[1:2] == [b"BINARY"]:
        raise ValueError(f"'{line[:40].decode('utf-8', 'replace')}' is not read: only text in 3D")
    number, counts = 1, words[1:]
    if not counts:
        number, line = next(rows, (0, b""))
        counts = line.split()
    # The third is that of the edges, which nobody uses and some leave out.
    if len(counts) not in (2, 3) or not all(word.isdigit() for word in counts):
        raise ValueError(f"line {number:,}: no counts of vertices and faces")
    return int(counts[0]), int(counts[1])


def off_rows(content: bytes) -> Rows:
    """Lines that hold something, without comments, each with its number."""
    text = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = text.rstrip(b"\0")  # the end of a string of C
    for number, line in enumerate(text.split(b"\n"), start=1):
        row = line.partition(b"#")[0].strip()
        if row:
            yield number, row


def parse_off(content: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices (V, 3) in the file's order and triangles (F, 3), see `polygons`.

    Raises:
        ValueError: it is no whole OFF, or a row is none.
    """
    rows = off_rows(content)
    n_vertices, n_faces = off_counts(rows)
    vertices = [_row(rows, "vertex", 3) for _ in range(n_vertices)]
    corners, lengths = list[bytes](), list[int]()
    for _ in range(n_faces):
        count, *words = _row(rows, "face", 1)
        length = int(count) if count.isdigit() else len(words) + 1
        if length > len(words):
            raise ValueError(f"a face of {count.decode('utf-8', 'replace')} corners and less room")
        corners += words[:length]
        lengths.append(length)
    if extra := next(rows, None):
        raise ValueError(f"line {extra[0]:,}: more rows than its counts state")
    points = numbers_in(b" ".join(word for row in vertices for word in row[:3]), 3 * n_vertices)
    named = whole_numbers(numbers_in(b" ".join(corners), len(corners)))
    points = points.reshape(-1, 3)
    return points, triangulate(named, np.array(lengths, np.int64), points)


def _row(rows: Rows, kind: str, least: int) -> list[bytes]:
    number, line = next(rows, (0, b""))
    if not line:
        raise ValueError(f"it ends in its {kind} rows")
    words = line.split()
    if len(words) < least:
        raise ValueError(f"line {number:,}: a {kind} of {len(words)} numbers")
    return words


def is_binary_stl(start: bytes, size: int) -> bool:
    """Whether an STL file is binary; its text may begin with `solid` too.

    Args:
        start: the file's first `MOST_HEADER_BYTES`, or all.
        size: of the file in bytes.
    """
    if len(start) < _STL_HEADER:
        return False
    needed = _STL_HEADER + _STL_TRIANGLE * stl_triangles(start)
    if size == needed:
        return True
    # What scanners append behind the triangles is no reason to refuse them.
    looks_like_text = start.lstrip().startswith(b"solid") and b"facet" in start
    return size > needed and not looks_like_text and needed > _STL_HEADER


def stl_triangles(start: bytes) -> int:
    """How many triangles a binary STL file states."""
    return int.from_bytes(start[_STL_HEADER - 4 : _STL_HEADER], "little")


def parse_stl(content: bytes) -> tuple[Vertices, Index]:
    """Vertices (3F, 3), three of their own for each triangle, and triangles (F, 3).

    Raises:
        ValueError: it is no whole STL file.
    """
    if is_binary_stl(content[:MOST_HEADER_BYTES], len(content)):
        rows = np.frombuffer(content, _STL_FIELDS, stl_triangles(content), _STL_HEADER)
        if len(rows) and not rows[-1:].view(np.uint8).any():
            raise ValueError("zeros instead of triangles at its end: half a copy")
        rest = content[_STL_HEADER + rows.nbytes :]
        # Notes behind the triangles are none of the shape, more triangles are.
        more = len(rest) % _STL_TRIANGLE == 0 or len(rest) - _STL_HEADER == (
            _STL_TRIANGLE * stl_triangles(rest)
        )
        if more and rest.strip(b"\0"):
            raise ValueError(f"more triangles behind the {len(rows):,} that it states")
        corners = rows["corners"].reshape(-1, 3).astype(np.float64)
    else:
        corners = _text_corners(content)
    return corners, np.arange(len(corners), dtype=np.int64).reshape(-1, 3)


def _text_corners(content: bytes) -> Vertices:
    lines = re.findall(rb"(?im)^[ \t]*vertex[ \t]+([^\r\n]*)", content.replace(b"\r", b"\n"))
    if not lines:
        raise ValueError("neither text with facets nor as many triangles as it states")
    if any(len(line.split()) != 3 for line in lines):
        raise ValueError("a vertex of other than three numbers")
    ends = content.lower()
    if len(lines) % 3 or ends.count(b"endfacet") != len(lines) // 3 or b"endsolid" not in ends:
        raise ValueError("a facet without three corners, or it ends early")
    return numbers_in(b"\n".join(lines), 3 * len(lines)).reshape(-1, 3)
