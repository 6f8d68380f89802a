"""Reading mesh files: the formats, limits on their size, and a message for each fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line, nearest_name
from ...recon.files.contents import START_BYTES, files_below, not_the_file
from ...recon.files.mirror import fetch
from ...recon.files.tables import npz_shape, read_npz_arrays
from ...recon.mesh import Mesh
from .glb import GlbFile
from .obj import parse_obj
from .ply import MOST_HEADER_BYTES, parse_ply, ply_header
from .stl_off import is_binary_stl, off_counts, off_rows, parse_off, parse_stl, stl_triangles

UNREAD_FORMATS = (
    *(".gltf", ".wrl", ".vrml", ".fbx", ".dae", ".3mf", ".vtk", ".vtp", ".pcd", ".abs", ".bnt"),
    *(".x3d", ".3ds", ".blend", ".e57", ".las", ".laz", ".mat", ".pkl", ".xyz", ".asc", ".ptx"),
    *(".usd", ".usda", ".usdc", ".usdz", ".ctm", ".stp", ".step", ".gz", ".bz2", ".xz", ".zip"),
    *(".7z", ".rar"),
)
"""Endings under which faces and scans are kept and not read."""
FORMATS = (".obj", ".ply", ".stl", ".off", ".glb", ".npz")
MAX_VERTICES = 2_000_000
"""More are refused before they are read: a face scan has 30,000 to 500,000, and distances to ten
million points would take tens of gigabytes."""
MAX_TRIANGLES = 4 * MAX_VERTICES
"""A closed surface has twice as many triangles as vertices."""
MAX_BYTES = 256 * 2**20
"""Larger files are refused whatever they hold."""

_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SIGNATURES = {b"ply": ".ply", b"glTF": ".glb", b"PK\x03\x04": ".npz", b"OFF": ".off"}
_BLOCK_BYTES = 2**24
_LEAST_VERTEX_BYTES = 8
_ROUNDED = 1e-5
"""Of a mesh's longest side: numbers of six digits."""
_THIN = "thin it to 0.5 mm between points first, for example by clustering vertices in MeshLab"
_EXPORT = "copy it again, or export it again as plain PLY or OBJ"

_READERS: Mapping[str, Callable[[Path], tuple[Any, Any]]] = {
    ".obj": lambda path: parse_obj(path.read_bytes(), MAX_VERTICES, MAX_TRIANGLES),
    ".ply": lambda path: parse_ply(path.read_bytes()),
    ".stl": lambda path: parse_stl(path.read_bytes()),
    ".off": lambda path: parse_off(path.read_bytes()),
    ".glb": lambda path: GlbFile(path).read(),
}
"""Vertices (V, 3) and triangles (F, 3) of a file."""

_NPZ_KEYS = {"vertices": "fiu", "triangles": "iu", "landmarks": "iu"}
"""Arrays of an `.npz` and the kinds of numbers they may hold."""


def load_mesh(path: Path, points: bool = False) -> Mesh:
    """The mesh as the file has it, vertices in the file's order, in the file's unit.

    An `.npz` holds `vertices` (V, 3), `triangles` (F, 3) and, if it likes, `landmarks` (68,), the
    vertex of each iBUG landmark.

    Args:
        path: the file.
        points: whether a point cloud, a file without triangles, will do.

    Raises:
        FacebenchError: when the file is missing, empty, too large, of another format than its
            name says, damaged, or holds points without a surface.
    """
    _check_file(path)
    check_size(path)
    suffix = path.suffix.lower()
    mesh = _read_npz(path) if suffix == ".npz" else _read_shape(path, _READERS[suffix])
    _check_triangles(mesh, path, points)
    return mesh


def _check_file(path: Path) -> None:
    if not path.is_file():
        if path.exists():
            raise FacebenchError(f"{path}: is no file", "give a mesh file, no folder or pipe")
        raise FacebenchError(f"{path}: no such file", _nearest(path))
    size = path.stat().st_size
    if not size:
        raise FacebenchError(f"{path}: the file is empty", "write or copy it again")
    if path.suffix.lower() not in FORMATS:
        ending = path.suffix or path.name
        raise FacebenchError(f"{path}: no mesh format '{ending}'", f"known: {', '.join(FORMATS)}")
    if size > MAX_BYTES:
        raise FacebenchError(
            f"{path}: {size / 2**20:,.0f} MiB, more than {MAX_BYTES / 2**20:g}", _THIN
        )
    start = _first_bytes(path, START_BYTES)
    if instead := not_the_file(start):
        raise FacebenchError(f"{path}: {instead[0]}", instead[1])
    if start.startswith(_WIDE_MARKS) and path.suffix.lower() in (".ply", ".stl", ".off"):
        raise FacebenchError(f"{path}: its text is UTF-16", "save it as ASCII or UTF-8")
    found = next((suffix for sign, suffix in _SIGNATURES.items() if start.startswith(sign)), None)
    if found == ".npz" and b".npy" not in start:
        raise FacebenchError(f"{path}: a ZIP archive, not the file", "unpack it")
    if found not in (None, path.suffix.lower()):
        raise FacebenchError(f"{path}: its content is {found[1:].upper()}", f"name it {found}")


def _first_bytes(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise FacebenchError(f"{path}: cannot be opened ({error.strerror})") from error


def _nearest(path: Path) -> str:
    """A question naming the file beside a missing one that is called most like it, or nothing."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [item.name for item in path.parent.iterdir() if item.is_file()]
    near = nearest_name(path.name, names, cutoff=0.5)
    return f"did you mean {path.with_name(near)}?" if near else ""


def _read_shape(path: Path, reader: Callable[[Path], tuple[Any, Any]]) -> Mesh:
    try:
        vertices, triangles = reader(path)
    except Exception as error:  # a damaged file fails in as many ways as it has fields
        raise _unreadable(path, error) from error
    if len(triangles) > MAX_TRIANGLES or len(vertices) > 3 * MAX_TRIANGLES:
        raise FacebenchError(f"{path}: {len(triangles):,} triangles", _THIN)
    return Mesh(vertices, triangles)


def _unreadable(path: Path, error: Exception) -> FacebenchError:
    # The readers' own faults are `ValueError`s whose texts are for a user.
    said = str(error) if type(error).__module__.startswith(__package__) else error_line(error)
    if isinstance(error, LookupError | TypeError | AttributeError):
        said = f"its parts do not fit together: {said}"
    text = said.removeprefix("ValueError: ")
    return FacebenchError(f"{path}: cannot be read as a mesh ({text})", _EXPORT)


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


def _check_triangles(mesh: Mesh, path: Path, points: bool) -> None:
    triangles = np.asarray(mesh.triangles)
    if not len(mesh.vertices):
        raise FacebenchError(f"{path}: no vertices in it", "is this a mesh file?")
    if points and not len(triangles):
        return
    if not len(triangles):
        raise FacebenchError(
            f"{path}: {len(mesh.vertices):,} points and no triangles",
            "distances need a surface: export it with its faces, or mesh the points first",
        )
    if triangles.max() >= len(mesh.vertices) or triangles.min() < 0:
        raise FacebenchError(
            f"{path}: a triangle names a vertex that does not exist", "export it again"
        )


def check_size(path: Path) -> None:
    """Refuse a file that would fill the memory, by its header and without reading it.

    Raises:
        FacebenchError: more than `MAX_VERTICES`, or a header that cannot be true.
    """
    try:
        n_vertices = _COUNTERS[path.suffix.lower()](path)
    except FacebenchError:
        raise
    except Exception as error:  # as above
        raise _unreadable(path, error) from error
    if n_vertices < 0:
        raise FacebenchError(f"{path}: {n_vertices} vertices", _EXPORT)
    if n_vertices > MAX_VERTICES:
        raise FacebenchError(f"{path}: {n_vertices:,} vertices, more than {MAX_VERTICES:,}", _THIN)


def _count_ply(path: Path) -> int:
    """How many vertices it has; every count must fit into the file, a byte for each."""
    _, elements, _ = ply_header(_first_bytes(path, MOST_HEADER_BYTES))
    n_vertices = sum(item.count for item in elements if item.name == "vertex")
    fit = all(item.count <= path.stat().st_size for item in elements)
    if n_vertices <= MAX_VERTICES and not fit:
        raise ValueError("more elements than the file can hold")
    return n_vertices


def _count_stl(path: Path) -> int:
    """Half the triangles, as in a closed surface; its corners are not shared."""
    start = _first_bytes(path, MOST_HEADER_BYTES)
    if is_binary_stl(start, path.stat().st_size):
        return stl_triangles(start) // 2
    return 0  # as text a facet takes 80 bytes: as many as `MAX_BYTES` holds are not too many


def _count_off(path: Path) -> int:
    """How many vertices it has; a face needs two bytes at least."""
    n_vertices, n_faces = off_counts(off_rows(_first_bytes(path, MOST_HEADER_BYTES)))
    if n_vertices <= MAX_VERTICES and not 0 <= n_faces <= path.stat().st_size:
        raise ValueError("more faces than the file can hold")
    return n_vertices


def _count_obj(path: Path) -> int:
    """Lines with a vertex, as most files write them; the reader itself counts what others do."""
    if path.stat().st_size < _LEAST_VERTEX_BYTES * MAX_VERTICES:
        return 0
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            # The end of the block before is kept: a line may begin with either block's bytes.
            text = last + block
            count += sum(
                text.count(end + b"v" + gap) for end in (b"\n", b"\r") for gap in (b" ", b"\t")
            )
            last = text[-2:]
    return count


_COUNTERS: Mapping[str, Callable[[Path], int]] = {
    ".ply": _count_ply,
    ".stl": _count_stl,
    ".off": _count_off,
    ".obj": _count_obj,
    ".glb": lambda path: GlbFile(path).count_vertices(),
    ".npz": lambda path: math.prod(npz_shape(path, "vertices")) // 3,
}
"""How many vertices a file says it has."""


def one_of_equals(paths: Sequence[Path]) -> Path | None:
    """Which of several files of one name to read, where all hold the same shape; else None.

    Programs write a face in several formats at once, a GLB in metres. Equal are its triangles and,
    to five digits, its vertices. The one with landmarks goes first, else the order of `FORMATS`,
    GLB last.
    """
    if len({path.with_suffix("") for path in paths}) > 1:
        return None
    order = [*(ending for ending in FORMATS if ending != ".glb"), ".glb"]
    ordered = sorted(paths, key=lambda path: order.index(path.suffix.lower()))
    try:
        meshes = {path: load_mesh(fetch(path), points=True) for path in ordered}
    except FacebenchError:
        return None
    first = meshes[ordered[0]]
    if not all(_is_same(first, mesh, path) for path, mesh in meshes.items()):
        return None
    with_landmarks = (path for path, mesh in meshes.items() if mesh.landmarks is not None)
    return next(with_landmarks, ordered[0])


def _is_same(first: Mesh, other: Mesh, path: Path) -> bool:
    vertices = np.asarray(first.vertices, np.float64)
    if not np.array_equal(first.triangles, other.triangles) or (
        vertices.shape != other.vertices.shape
    ):
        return False
    scales = (1.0, 1000.0) if path.suffix.lower() == ".glb" else (1.0,)
    apart = (np.abs(vertices - scale * other.vertices).max() for scale in scales)
    return bool(min(apart) <= _ROUNDED * np.ptp(vertices, axis=0).max())


def meshes_below(folder: Path) -> dict[str, list[Path]]:
    """Every mesh file below a folder by its relative path without the ending, sorted."""
    found: dict[str, list[Path]] = {}
    for path in files_below(folder):
        if path.suffix.lower() in FORMATS and path.is_file():
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return found
