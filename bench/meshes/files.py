"""Meshes out of files: the formats, the bounds on their size, and the name of each fault."""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line, nearest_name
from ...recon.files.tables import npz_shape, read_npz_arrays
from ...recon.mesh.record import Mesh
from .glb import check_glb

FORMATS = (".obj", ".ply", ".stl", ".off", ".glb", ".npz")
_SIGNATURES = {b"ply": ".ply", b"glTF": ".glb", b"PK\x03\x04": ".npz", b"OFF": ".off"}


def load_mesh(path: Path) -> Mesh:
    """The mesh as the file has it, vertices in the file's order, in the file's unit.

    An `.npz` holds `vertices` (V, 3), `triangles` (F, 3) and, if it likes, `landmarks` (68,), the
    vertex of each iBUG landmark.

    Raises:
        FacebenchError: when the file is missing, empty, too large, of another format than its
            name says, damaged, or holds points without a surface.
    """
    _check_file(path)
    check_size(path)
    mesh = _read_npz(path) if path.suffix.lower() == ".npz" else _read_with_trimesh(path)
    _check_triangles(mesh, path)
    return mesh


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise FacebenchError(f"{path}: no such file", _nearest(path))
    if not path.stat().st_size:
        raise FacebenchError(f"{path}: the file is empty", "write or copy it again")
    if path.suffix.lower() not in FORMATS:
        ending = path.suffix or path.name
        raise FacebenchError(f"{path}: no mesh format '{ending}'", f"known: {', '.join(FORMATS)}")
    start = _first_bytes(path)
    found = next((suffix for sign, suffix in _SIGNATURES.items() if start.startswith(sign)), None)
    if found not in (None, path.suffix.lower()):
        raise FacebenchError(f"{path}: its content is {found[1:].upper()}", f"name it {found}")


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError as error:
        raise FacebenchError(f"{path}: cannot be opened ({error.strerror})") from error


def _nearest(path: Path) -> str:
    """A question naming the file beside a missing one that is called most like it, or nothing."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [item.name for item in path.parent.iterdir() if item.is_file()]
    near = nearest_name(path.name, names, cutoff=0.5)
    return f"did you mean {path.with_name(near)}?" if near else ""


def _read_with_trimesh(path: Path) -> Mesh:
    try:
        # From a stream a reader has no folder to look for materials and pictures in: files that a
        # mesh names may be anywhere, and need not end.
        content = io.BytesIO(_shape_alone(path))
        loaded = trimesh.load(content, file_type=path.suffix.lower()[1:], **_PLAIN)
        whole = loaded.to_mesh() if isinstance(loaded, trimesh.Scene) else loaded
        vertices = np.array(whole.vertices).reshape(-1, 3)
        triangles = np.array(getattr(whole, "faces", ()), np.int64).reshape(-1, 3)
    except Exception as error:  # trimesh raises whatever its many readers raise
        raise FacebenchError(
            f"{path}: cannot be read as a mesh ({error_line(error)})",
            "it is truncated or of another kind; export it again",
        ) from error
    return Mesh(vertices, triangles)


def _shape_alone(path: Path) -> bytes:
    """The content of a file; of an OBJ without what would cut it into a mesh a group or material,
    of which there may be as many as lines."""
    content = path.read_bytes()
    return _GROUPS.sub(b"", content) if path.suffix.lower() == ".obj" else content


_GROUPS = re.compile(rb"^[ \t]*(?:g|o|s|usemtl|mtllib)\b[^\n]*$", re.MULTILINE)
_PLAIN: Mapping[str, Any] = MappingProxyType(
    {
        "process": False,
        "maintain_order": True,
        "skip_materials": True,
        "allow_remote": False,
    }
)
"""Shape alone: vertices in the file's order, as one mesh, without materials."""


def _read_npz(path: Path) -> Mesh:
    found = read_npz_arrays(path, _NPZ_KEYS, MAX_BYTES)
    for name in ("vertices", "triangles"):
        if name not in found:
            known = ", ".join(_NPZ_KEYS)
            raise FacebenchError(f"{path}: no array '{name}'", f"expected {known}")
    vertices = _triples(found["vertices"], "vertices", path)
    triangles = _triples(found["triangles"], "triangles", path)
    marks = found.get("landmarks")
    landmarks = None if marks is None else _vertex_numbers(marks, len(vertices), path)
    return Mesh(vertices.astype(np.float64), triangles.astype(np.int64), landmarks)


_NPZ_KEYS = {"vertices": "fiu", "triangles": "iu", "landmarks": "iu"}
"""Arrays of an `.npz` and the kinds of numbers they may hold."""


def _triples(values: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    if values.ndim != 2 or values.shape[1] != 3 or values.dtype.kind not in _NPZ_KEYS[name]:
        raise FacebenchError(
            f"{path}: '{name}' is {values.shape} {values.dtype}", "expected numbers (N, 3)"
        )
    return values


def _vertex_numbers(values: NDArray[Any], n_vertices: int, path: Path) -> NDArray[Any]:
    whole = values.shape == (68,) and values.dtype.kind in _NPZ_KEYS["landmarks"]
    if not whole or values.min() < 0 or values.max() >= n_vertices:
        raise FacebenchError(f"{path}: 'landmarks' is not (68,) vertices of the mesh")
    return values


def _check_triangles(mesh: Mesh, path: Path) -> None:
    triangles = np.asarray(mesh.triangles)
    if not len(mesh.vertices):
        raise FacebenchError(f"{path}: no vertices in it", "is this a mesh file?")
    if not len(triangles):
        raise FacebenchError(
            f"{path}: {len(mesh.vertices):,} points and no triangles",
            "distances need a surface: export it with its faces, or mesh the points first",
        )
    if triangles.max() >= len(mesh.vertices) or triangles.min() < 0:
        raise FacebenchError(
            f"{path}: a triangle names a vertex that does not exist", "export it again"
        )


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


def meshes_below(folder: Path) -> dict[str, list[Path]]:
    """Every mesh file below a folder by its relative path without the ending, sorted."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in FORMATS and path.is_file() and not hidden:
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return found
