"""What is set right on the way from a file to a mesh that can be measured, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ...errors import FacebenchError
from ...recon.mesh.record import Mesh
from ..surface.triangles import (
    Float64Array,
    double_areas,
    lengths,
    lexicographic_order,
    triangle_areas,
)
from .files import MAX_VERTICES, load_mesh

MAIN_SHARE = 0.3
"""Of a mesh's triangles: a surface with fewer is one of many pieces, and not the face."""
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
"""Millimetres in a unit."""
ANY_UNIT = "any"
"""Stands for a side whose unit is not known: the landmarks of both sides tell its size."""
UNIT_OPTION = "--prediction-unit"
COPY_MM = 1e-4
"""Vertices closer than this are one: seams of textures, and STL, write a vertex several times."""

_EXTENTS_MM = (80.0, 800.0)
"""Longest side of a face, from the bare mask to head and shoulders; a factor of ten, so that the
ranges of millimetres and centimetres do not meet."""
_HEAD_MM = 250.0
_INCH_MM = 25.4
_FAR = 500.0
"""Of a mesh's longest side: a vertex further from its middle belongs to no face and no room."""
_ENORMOUS = 1e50
"""Coordinates from which on areas overflow."""


@dataclass(frozen=True)
class Removed:
    """What was left out of a mesh, each a count.

    Attributes:
        invalid_vertices: with NaN or infinite coordinates; their triangles go with them.
        unreferenced_vertices: that no triangle uses.
        degenerate_triangles: without area.
        duplicate_triangles: of the same three vertices as an earlier one, either way round.
    """

    invalid_vertices: int = 0
    unreferenced_vertices: int = 0
    degenerate_triangles: int = 0
    duplicate_triangles: int = 0

    def __str__(self) -> str:
        counts = (
            (self.invalid_vertices, "invalid vertex", "invalid vertices"),
            (self.unreferenced_vertices, "unreferenced vertex", "unreferenced vertices"),
            (self.degenerate_triangles, "degenerate triangle", "degenerate triangles"),
            (self.duplicate_triangles, "duplicate triangle", "duplicate triangles"),
        )
        return ", ".join(count_of(*count) for count in counts if count[0])


def count_of(count: int, one: str, many: str) -> str:
    """`1 vertex`, `2,000 vertices`."""
    return f"{count:,} {one if count == 1 else many}"


def read_mesh(
    path: Path, unit: str | None = None, option: str = "--unit", points: bool = False
) -> tuple[Mesh, Removed]:
    """A clean mesh in mm from a file of `files.FORMATS`, and what was left out of it.

    Vertices keep the file's order. A mesh whose size is not that of a face in the stated unit is
    refused: nothing is converted on a guess.

    Args:
        path: the file.
        unit: `mm`, `cm`, `m`, or the millimetres in one of its units; None stands for mm.
        option: what the user gives the unit by, for the hint.
        points: whether a point cloud will do.

    Raises:
        FacebenchError: when the file cannot be read, holds no surface, or is in another unit.
    """
    raw = load_mesh(path, points)
    mesh, removed = clean_mesh(raw)
    if len(raw.triangles) and not len(mesh.triangles):
        raise FacebenchError(f"{path}: no triangles with finite corners", "is this a mesh file?")
    check_unit(mesh, str(path), unit or "mm", option)
    return to_millimetres(mesh, unit or "mm"), removed


def clean_mesh(mesh: Mesh, copies_mm: float | None = None) -> tuple[Mesh, Removed]:
    """The mesh without invalid or unreferenced vertices, degenerate and duplicate triangles.

    Of a point cloud, which has no triangles at all, the points stay.

    A landmark whose vertex goes takes all landmarks with it: a part of the 68 is of no use.

    Args:
        mesh: any.
        copies_mm: distance within which vertices are one, the first of them; None keeps all.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    triangles = np.asarray(mesh.triangles, np.int64).reshape(-1, 3)
    # An enormous coordinate is no more of use than an infinite one; not a number compares false.
    valid = np.asarray((np.abs(vertices) < _ENORMOUS).all(axis=1))
    whole = triangles[valid[triangles].all(1)]
    first = np.arange(len(vertices))
    if copies_mm is not None:
        first[valid] = np.flatnonzero(valid)[first_copies(vertices[valid], copies_mm)]
    # Copies become one before areas are looked at: what joined them has none.
    joined = first[whole]
    solid = joined[triangle_areas(vertices, joined) > 0]
    single = solid[first_of_equals(solid)]
    used = np.zeros(len(vertices), bool)
    used[single] = True
    if not len(triangles):
        used = valid
    removed = Removed(
        invalid_vertices=int((~valid).sum()),
        unreferenced_vertices=int((valid & ~used & (first == np.arange(len(first)))).sum()),
        degenerate_triangles=len(whole) - len(solid),
        duplicate_triangles=len(solid) - len(single),
    )
    landmarks = None if mesh.landmarks is None else first[mesh.landmarks]
    return _submesh(replace(mesh, landmarks=landmarks), vertices, single, used), removed


def first_copies(vertices: Float64Array, reach: float = COPY_MM) -> NDArray[np.int64]:
    """For each vertex (V,) the first one that lies within a distance of it, itself where none does.

    Copies of copies are copies of the first.
    """
    own = np.arange(len(vertices))
    pairs = _close_pairs(vertices, reach)
    if not len(pairs):
        return own
    links = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(own), len(own)))
    _, first, group = np.unique(
        connected_components(links, directed=False)[1], return_index=True, return_inverse=True
    )
    return np.asarray(first[group], np.int64)


def _close_pairs(vertices: Float64Array, reach: float) -> NDArray[np.int64]:
    """Pairs (N, 2) of neighbours along a line that lie within a distance of each other.

    On a line in no special direction few vertices of a mesh without copies come so close, which a
    sort tells faster than a tree in space.
    """
    along = vertices @ _LINE
    order = np.argsort(along, kind="stable")
    sorted_along = along[order]
    found = [np.empty((0, 2), np.int64)]
    for step in range(1, len(order)):
        near = np.flatnonzero(sorted_along[step:] - sorted_along[:-step] <= reach)
        if not len(near):
            break
        if step > _MOST_STEPS:
            return np.asarray(cKDTree(vertices).query_pairs(reach, output_type="ndarray"))
        pairs = np.stack([order[near], order[near + step]], axis=1)
        apart = vertices[pairs[:, 0]] - vertices[pairs[:, 1]]
        found.append(pairs[(apart**2).sum(axis=1) <= reach**2])
    return np.concatenate(found)


_LINE = np.array([0.5773, 0.2113, 0.7887])
"""Of a length just below 1: two points are at least as far apart as they are along it."""
_MOST_STEPS = 64
"""A vertex has some six triangles, each with a copy in STL; more in one place is another matter."""


def keep_vertices(mesh: Mesh, keep: NDArray[np.bool_]) -> Mesh:
    """The part of a mesh whose triangles have all corners among the kept vertices (V,)."""
    triangles = np.asarray(mesh.triangles, np.int64)
    triangles = triangles[keep[triangles].all(1)]
    used = np.zeros(len(keep), bool)
    used[triangles] = True
    return _submesh(mesh, np.asarray(mesh.vertices, np.float64), triangles, used)


def unit_in_mm(unit: str) -> float:
    """Millimetres in a unit: `mm`, `cm`, `m`, or that number itself, such as `51.2`.

    Raises:
        FacebenchError: it is none of them.
    """
    try:
        factor = UNITS.get(unit) or float(unit)
    except ValueError:
        factor = 0.0
    if not 0 < factor < np.inf:
        raise FacebenchError(
            f"unknown unit '{unit}'", f"known: {', '.join(UNITS)}, or the mm in one of its units"
        )
    return factor


def check_unit(mesh: Mesh, name: str, unit: str = "mm", option: str = "") -> None:
    """Refuse a mesh that is not as large as a face when its numbers are read in a unit.

    Args:
        mesh: clean.
        name: of it, for the message.
        unit: see `unit_in_mm`.
        option: what the user gives the unit by; empty where the mesh must be given in mm.

    Raises:
        FacebenchError: with the unit or the factor that would fit.
    """
    factor = unit_in_mm(unit)
    check_far_vertices(mesh, name)
    extent = _extent(mesh)
    low, high = _EXTENTS_MM
    if low <= extent * factor < high:
        return
    guess = guess_unit(mesh)
    if guess is not None:
        advice = f"pass {option} {guess}" if option else f"multiply it by {UNITS[guess]:g}"
        if option and low <= extent * _INCH_MM < high:
            # The ranges of centimetres and inches meet, and their numbers do not tell which.
            advice += f", or {option} {_INCH_MM:g} if it is in inches"
        raise FacebenchError(
            f"{name}: looks like {guess}, not {unit} (its longest side is {extent:.4g})", advice
        )
    size = f"{extent * factor:.4g} mm" if unit != "mm" else f"{extent:.4g} mm"
    extreme = "small for" if extent * factor < low else "large for"
    message = f"{name}: its longest side is {size}, too {extreme} a face"
    if extent <= 0:
        raise FacebenchError(message, "it has no size in any unit")
    what = f"pass {option} with the mm in one of its units" if option else "multiply it by a factor"
    raise FacebenchError(
        message,
        f"a face is {low:g} to {high:g} mm with head and shoulders; {what}, between "
        f"{_rounded_up(low / extent)} and {_rounded_down(high / extent)} "
        f"({_HEAD_MM / extent:.3g} for a head of {_HEAD_MM:g} mm)",
    )


def check_far_vertices(mesh: Mesh, name: str) -> None:
    """Refuse a mesh with a vertex that no face can have.

    Raises:
        FacebenchError: with its coordinates.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    # The percentiles of the size pass over a few strays; here one is enough.
    away = np.abs(vertices - np.median(vertices, axis=0)).max(axis=1)
    worst = int(away.argmax())
    extent = _extent(mesh)
    if away[worst] > _FAR * max(extent, np.finfo(float).tiny):
        place = ", ".join(f"{value:.4g}" for value in vertices[worst])
        raise FacebenchError(
            f"{name}: a vertex at ({place}), {away[worst] / max(extent, 1e-300):.3g} times as far "
            "as the others reach",
            "delete it in a mesh editor",
        )


def guess_unit(mesh: Mesh) -> str | None:
    """The unit in which the mesh is as large as a face, or None."""
    extent = _extent(mesh)
    low, high = _EXTENTS_MM
    fits = [name for name, factor in UNITS.items() if low <= extent * factor < high]
    return fits[0] if fits else None


def prediction_in_mm(mesh: Mesh, name: str, unit: str) -> Mesh:
    """A predicted face cleaned, checked and in mm; of unit `any` with its own numbers.

    Raises:
        FacebenchError: vertices that are not finite, no surface, or not a face in that unit.
    """
    cleaned, removed = clean_mesh(mesh)
    if removed.invalid_vertices:
        invalid = count_of(removed.invalid_vertices, "vertex is", "vertices are")
        raise FacebenchError(
            f"{name}: {invalid} NaN or infinite", "what made it has failed; predict it again"
        )
    if not len(cleaned.triangles):
        raise FacebenchError(f"{name}: no triangle has an area", "is this a face? export it again")
    if unit == ANY_UNIT:
        return cleaned
    try:
        check_unit(cleaned, name, unit, UNIT_OPTION)
    except FacebenchError as error:
        if guess_unit(cleaned) is not None or not error.hint.startswith("a face is"):
            raise
        advice = f"{error.hint}, or {UNIT_OPTION} any and the landmarks of both sides"
        raise FacebenchError(error.message, advice) from error
    return to_millimetres(cleaned, unit)


def to_millimetres(mesh: Mesh, unit: str) -> Mesh:
    """The mesh in mm, from a unit; see `unit_in_mm`."""
    return replace(mesh, vertices=np.asarray(mesh.vertices, np.float64) * unit_in_mm(unit))


def faces_inwards(mesh: Mesh) -> bool:
    """Whether most of the surface is wound so that its normals point to the inside.

    The sign of the volume between the surface and its centre; a face is a bowl, so this tells the
    inside from the outside though the surface is open. Of several surfaces the largest is asked:
    what else a scanner saw may be a table that faces down.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    triangles = _main_surface(np.asarray(mesh.triangles, np.int64), len(vertices))
    outward = double_areas(vertices, triangles)
    centres = vertices[triangles].mean(1)
    middle = np.average(centres, axis=0, weights=lengths(outward))
    return bool(((centres - middle) * outward).sum() < 0)


def _main_surface(triangles: NDArray[np.int64], n_vertices: int) -> NDArray[np.int64]:
    """The triangles of the surface that has most of them; all, where none has a good part."""
    ends = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    links = coo_array((np.ones(len(ends)), tuple(ends.T)), shape=(n_vertices, n_vertices))
    surface = connected_components(links, directed=False)[1][triangles[:, 0]]
    counts = np.bincount(surface)
    largest = int(counts.argmax())
    is_main = surface == largest
    return triangles[is_main] if counts[largest] >= MAIN_SHARE * len(triangles) else triangles


def flip_triangles(mesh: Mesh) -> Mesh:
    """The mesh with the other side of each triangle outside."""
    return replace(mesh, triangles=np.asarray(mesh.triangles)[:, ::-1])


def first_of_equals(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the triangles (F, 3) have other vertices than all before them, in their order."""
    corners = np.sort(triangles, axis=1)
    order = lexicographic_order(corners.T, int(triangles.max(initial=0)) + 1)
    ordered = corners[order]
    is_new = np.r_[True, (ordered[1:] != ordered[:-1]).any(1)] if len(ordered) else []
    return np.sort(order[np.asarray(is_new, bool)])


def _submesh(
    mesh: Mesh, vertices: Float64Array, triangles: NDArray[np.int64], used: NDArray[np.bool_]
) -> Mesh:
    """The used vertices (V,) bool with the triangles renumbered and what they carry along."""
    new_index = np.cumsum(used) - 1
    landmarks = mesh.landmarks
    if landmarks is not None:
        landmarks = new_index[landmarks] if used[landmarks].all() else None
    colours = None if mesh.colours is None else mesh.colours[used]
    return Mesh(vertices[used], new_index[triangles].astype(np.int32), landmarks, colours)


def _extent(mesh: Mesh) -> float:
    """Longest side of the box around all but the outermost vertices: one stray point is no size."""
    low, high = np.percentile(mesh.vertices, [0.5, 99.5], axis=0)
    return float((high - low).max())


def _rounded_up(value: float) -> str:
    """Three digits of which the number is not less: what is advised must be taken."""
    text = f"{value:.3g}"
    return text if float(text) >= value else f"{value * 1.005:.3g}"


def _rounded_down(value: float) -> str:
    text = f"{value:.3g}"
    return text if float(text) < value else f"{value * 0.995:.3g}"


_RIGHT_EYE, _LEFT_EYE, _CHIN, _BRIDGE, _TIP = 36, 45, 8, 27, 30
"""Landmarks, counted from 0: outer eye corners, chin, nose bridge and nose tip."""


def check_prediction(prediction: Mesh) -> Mesh:
    """The clean prediction; refused when it is no surface with its outside outside.

    Raises:
        FacebenchError: for NaN, no triangles, a mirrored face, an inside-out surface or too many
            vertices.
    """
    if not np.isfinite(prediction.vertices).all():
        raise FacebenchError(
            "the prediction has NaN or infinite vertices", "its method failed; predict it again"
        )
    if not len(prediction.triangles):
        raise FacebenchError(
            "the prediction has no triangles, only points", "save it as a mesh with its triangles"
        )
    _check_size(prediction, "the prediction")
    check_far_vertices(prediction, "the prediction")
    cleaned = _with_sound_triangles(prediction)
    if not len(cleaned.triangles):
        raise FacebenchError("no triangle of the prediction has an area", "its method failed")
    if is_mirrored(cleaned):
        raise FacebenchError(
            "the prediction is mirrored: its landmarks' left and right are exchanged",
            "a reflection is never aligned; negate x and reverse the triangles",
        )
    if faces_inwards(cleaned):
        raise FacebenchError(
            "the prediction is inside out or mirrored: its triangles face inwards",
            "reverse the order of each triangle's corners, or undo the reflection",
        )
    return cleaned


def check_scan(scan: Mesh) -> Mesh:
    """The clean scan in mm with its outside outside.

    Raises:
        FacebenchError: when nothing is left of it, it is in another unit or has too many vertices.
    """
    _check_size(scan, "the scan")
    is_cloud = not len(scan.triangles)
    scan, _ = clean_mesh(scan, COPY_MM)
    if is_cloud and len(scan.vertices):
        check_unit(scan, "the scan")
        return scan
    if not len(scan.triangles):
        raise FacebenchError("the scan has no triangles with finite corners", "is it a mesh?")
    check_unit(scan, "the scan")
    return flip_triangles(scan) if faces_inwards(scan) else scan


def _check_size(mesh: Mesh, name: str) -> None:
    """Refuse what would take tens of gigabytes, by the rule that also holds for files."""
    count = len(mesh.vertices)
    if count > MAX_VERTICES:
        raise FacebenchError(
            f"{name} has {count:,} vertices, more than {MAX_VERTICES:,}",
            "thin it to 0.5 mm between points first, for example by clustering vertices in MeshLab",
        )


def _with_sound_triangles(mesh: Mesh) -> Mesh:
    """The mesh without degenerate and duplicate triangles; vertices keep their numbers.

    Triangles use the first of the copies of a vertex: a seam is no boundary.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    triangles = first_copies(vertices)[np.asarray(mesh.triangles, np.int64)]
    solid = triangles[triangle_areas(vertices, triangles) > 0]
    return replace(mesh, triangles=solid[first_of_equals(solid)])


def is_mirrored(face: Mesh) -> bool:
    """Whether left, up and forward, by the landmarks, form a left-handed frame."""
    if face.landmarks is None:
        return False
    point = np.asarray(face.vertices)[face.landmarks]
    left = point[_LEFT_EYE] - point[_RIGHT_EYE]
    up = point[_BRIDGE] - point[_CHIN]
    forward = point[_TIP] - (point[_LEFT_EYE] + point[_RIGHT_EYE]) / 2
    return bool(np.cross(left, up) @ forward < 0)
