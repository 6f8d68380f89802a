"""How large a mesh file is, told by its header: what is refused before it fills the memory."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from ...errors import FacebenchError, error_line
from ...recon.files.numpy import npz_shape
from .glb import check_glb

MAX_VERTICES = 2_000_000
"""More are refused before they are read: a face scan has 30,000 to 500,000, and distances to ten
million points would take tens of gigabytes."""
MAX_BYTES = 256 * 2**20
"""Larger files are refused whatever they hold."""

_THIN = "thin it to 0.5 mm between points first, for example by clustering vertices in MeshLab"
_EXPORT = "it is truncated or of another kind; export it again"
_HEADER_BYTES = 2**16
_BLOCK_BYTES = 2**24


def check_size(path: Path) -> None:
    """Refuse a file that would fill the memory, by its header and without reading it.

    Raises:
        FacebenchError: more than `MAX_VERTICES` or `MAX_BYTES`, or a header that cannot be true.
    """
    if path.stat().st_size > MAX_BYTES:
        size = path.stat().st_size / 2**20
        raise FacebenchError(f"{path}: {size:,.0f} MiB, more than {MAX_BYTES / 2**20:g}", _THIN)
    n_vertices = _stated_vertices(path)
    if n_vertices > MAX_VERTICES:
        raise FacebenchError(f"{path}: {n_vertices:,} vertices, more than {MAX_VERTICES:,}", _THIN)


def _stated_vertices(path: Path) -> int:
    """How many vertices a file says it has.

    Raises:
        FacebenchError: it does not say, or nothing that its size could hold.
    """
    try:
        counted = _COUNTERS[path.suffix.lower()](path)
    except FacebenchError:
        raise
    except Exception as error:  # a damaged header fails in as many ways as it has fields
        raise FacebenchError(
            f"{path}: cannot be read as a mesh ({error_line(error)})", _EXPORT
        ) from error
    if counted < 0:
        raise FacebenchError(f"{path}: {counted} vertices", _EXPORT)
    return counted


def _count_ply(path: Path) -> int:
    """Of its vertices; every count must fit into the file, a byte for each."""
    with path.open("rb") as file:
        header, end, _ = file.read(_HEADER_BYTES).partition(b"end_header")
    if not end:
        raise ValueError("its header does not end")
    words = [line.split() for line in header.splitlines()]
    counts = {line[1]: int(line[2]) for line in words if line[:1] == [b"element"]}
    n_vertices = counts[b"vertex"]
    fit = all(0 <= count <= path.stat().st_size for count in counts.values())
    if n_vertices <= MAX_VERTICES and not fit:
        raise ValueError("more elements than the file can hold")
    return n_vertices


def _count_stl(path: Path) -> int:
    """Half the triangles, as in a closed surface; its corners are not shared."""
    with path.open("rb") as file:
        head = file.read(84)
    n_triangles = struct.unpack("<I", head[80:])[0] if len(head) == 84 else 0
    if path.stat().st_size == 84 + 50 * n_triangles:
        return int(n_triangles // 2)
    return _count_lines(path, b"facet ") // 2


def _count_off(path: Path) -> int:
    """Of its vertices; a face needs two bytes at least."""
    with path.open("rb") as file:
        lines = file.read(_HEADER_BYTES).splitlines()
    words = b" ".join(line.partition(b"#")[0] for line in lines).split()
    n_vertices, n_faces = int(words[1]), int(words[2])
    if n_vertices <= MAX_VERTICES and not 0 <= n_faces <= path.stat().st_size:
        raise ValueError("more faces than the file can hold")
    return n_vertices


def _count_obj(path: Path) -> int:
    return _count_lines(path, b"v ")


def _count_lines(path: Path, start: bytes) -> int:
    """Lines that begin so."""
    wanted = b"\n" + start
    with path.open("rb") as file:
        count, last = 0, b"\n"
        while block := file.read(_BLOCK_BYTES):
            # The end of the block before is kept: a line may begin with either block's bytes.
            count += (last + block).count(wanted)
            last = (last + block)[1 - len(wanted) :]
    return count


def _count_npz(path: Path) -> int:
    shape = npz_shape(path, "vertices")
    return math.prod(shape) // 3


_COUNTERS: Mapping[str, Callable[[Path], int]] = {
    ".ply": _count_ply,
    ".stl": _count_stl,
    ".off": _count_off,
    ".obj": _count_obj,
    ".glb": check_glb,
    ".npz": _count_npz,
}
