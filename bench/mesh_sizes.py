"""How large a mesh file is, told by its header: what is refused before it fills the memory."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ..errors import FacebenchError

MAX_VERTICES = 2_000_000
"""More are refused before they are read: a face scan has 30,000 to 500,000, and distances to ten
million points would take tens of gigabytes."""
MAX_BYTES = 512 * 2**20
"""Larger files are refused where a format does not state its number of vertices."""

_THIN = "thin it to 0.5 mm between points first, for example by clustering vertices in MeshLab"
_HEADER_BYTES = 2**16
_BLOCK_BYTES = 2**24


def check_size(path: Path) -> None:
    """Refuse a file that would fill the memory, by its header and without reading it.

    Raises:
        FacebenchError: more than `MAX_VERTICES`, or `MAX_BYTES` where the header does not tell.
    """
    n_vertices = _stated_vertices(path)
    if n_vertices is None and path.stat().st_size > MAX_BYTES:
        size = path.stat().st_size / 2**20
        raise FacebenchError(f"{path}: {size:,.0f} MiB, more than {MAX_BYTES / 2**20:g}", _THIN)
    if n_vertices is not None and n_vertices > MAX_VERTICES:
        raise FacebenchError(f"{path}: {n_vertices:,} vertices, more than {MAX_VERTICES:,}", _THIN)


def _stated_vertices(path: Path) -> int | None:
    """How many vertices a file says it has, None where only reading it all would tell."""
    try:
        counted = _COUNTERS.get(path.suffix.lower(), _count_none)(path)
    except (OSError, ValueError, IndexError, KeyError, struct.error, zipfile.BadZipFile):
        return None
    return counted


def _count_none(path: Path) -> None:
    return None


def _count_ply(path: Path) -> int:
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES).partition(b"end_header")[0]
    return int(header.partition(b"element vertex")[2].split()[0])


def _count_stl(path: Path) -> int | None:
    """Half the triangles of a binary file, as in a closed surface; its corners are not shared."""
    with path.open("rb") as file:
        (n_triangles,) = struct.unpack("<I", file.read(84)[80:])
    return n_triangles // 2 if path.stat().st_size == 84 + 50 * n_triangles else None


def _count_off(path: Path) -> int:
    with path.open("rb") as file:
        lines = file.read(_HEADER_BYTES).splitlines()
    words = b" ".join(line.partition(b"#")[0] for line in lines).split()
    return int(words[1])


def _count_obj(path: Path) -> int:
    with path.open("rb") as file:
        count, last = 0, b"\n"
        while block := file.read(_BLOCK_BYTES):
            # The end of the block before is kept: a line may begin with either block's bytes.
            count += (last + block).count(b"\nv ")
            last = (last + block)[-2:]
    return count


def _count_npz(path: Path) -> int:
    with zipfile.ZipFile(path) as archive, archive.open("vertices.npy") as file:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, _ = read(file)
    return int(np.prod(shape)) // 3


_COUNTERS: Mapping[str, Callable[[Path], int | None]] = {
    ".ply": _count_ply,
    ".stl": _count_stl,
    ".off": _count_off,
    ".obj": _count_obj,
    ".npz": _count_npz,
}
