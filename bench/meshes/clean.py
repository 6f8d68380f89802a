"""Mesh cleaning: duplicate and unreferenced vertices, degenerate triangles; and decimation.

Also a mesh with fewer triangles, for looking at; nothing is measured on it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ...errors import count_of
from ...recon.mesh import Mesh, check_arrays
from ..surface.triangles import Float64Array, IndexArray, lexicographic_order, triangle_areas

COPY_MM = 1e-4
"""Vertices closer than this are one: seams of textures, and STL, write a vertex several times."""
_ENORMOUS = 1e50
"""Coordinates from which on areas overflow."""
_LINE = np.array([0.5773, 0.2113, 0.7887])
"""Of a length just below 1: two points are at least as far apart as they are along it."""
_MOST_STEPS = 64
"""A vertex has some six triangles, each with a copy in STL; more in one place is another matter."""

TRIANGLES = 8000
"""Enough to know a face and where it is wrong: about 3 mm between vertices on a 95 mm crop."""
PER_CELL = 3.0
"""Triangles for each square of a cell's side: a surface meets 1.5 cells there, each one vertex."""
ROUNDS = 6

DecimatedMesh = tuple[Mesh, Float64Array]
"""What is left of a mesh, mm, and of the errors (V,) at its vertices, NaN for none."""


def are_valid(vertices: Float64Array) -> NDArray[np.bool_]:
    """Which (V,) of vertices (V, 3) have coordinates to compute with."""
    # An enormous coordinate is no more of use than an infinite one; not a number compares false.
    return np.asarray((np.abs(vertices) < _ENORMOUS).all(axis=1))


def clean_mesh(mesh: Mesh, copies_mm: float | None = None) -> tuple[Mesh, str]:
    """The mesh without what is no surface, and what was left out, in words; empty for nothing.

    Invalid vertices, NaN or infinite, go with their triangles; vertices that no triangle uses go,
    and triangles without area or of the same three vertices as an earlier one, either way round. Of
    a point cloud, which has no triangles at all, the points stay.

    A landmark whose vertex goes takes all landmarks with it: a part of the 68 is of no use.

    Args:
        mesh: any.
        copies_mm: distance within which vertices are one, the first of them; None keeps all.

    Raises:
        FacebenchError: arrays of other shapes, or a triangle of vertices that are not there.
    """
    check_arrays(mesh)
    vertices = np.asarray(mesh.vertices, np.float64)
    triangles = np.asarray(mesh.triangles, np.int64).reshape(-1, 3)
    valid = are_valid(vertices)
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
    unreferenced = valid & ~used & (first == np.arange(len(first)))
    removed = (
        (int((~valid).sum()), "invalid vertex", "invalid vertices"),
        (int(unreferenced.sum()), "unreferenced vertex", "unreferenced vertices"),
        (len(whole) - len(solid), "degenerate triangle", "degenerate triangles"),
        (len(solid) - len(single), "duplicate triangle", "duplicate triangles"),
    )
    words = ", ".join(count_of(*count) for count in removed if count[0])
    landmarks = None if mesh.landmarks is None else first[mesh.landmarks]
    return _submesh(replace(mesh, landmarks=landmarks), vertices, single, used), words


def keep_vertices(mesh: Mesh, keep: NDArray[np.bool_]) -> Mesh:
    """The part of a mesh whose triangles have all corners among the kept vertices (V,)."""
    triangles = np.asarray(mesh.triangles, np.int64)
    triangles = triangles[keep[triangles].all(1)]
    used = np.zeros(len(keep), bool)
    used[triangles] = True
    return _submesh(mesh, np.asarray(mesh.vertices, np.float64), triangles, used)


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


def decimate(mesh: Mesh, errors: Float64Array, triangles: int = TRIANGLES) -> DecimatedMesh:
    """A mesh with no more triangles than asked for, its vertices gathered cell by cell.

    Args:
        mesh: in mm.
        errors: (V,) at its vertices, NaN for none; a gathered vertex gets the mean of the known.
        triangles: at most.

    Source: vertex clustering, Rossignac and Borrel, "Multi-resolution 3D approximations for
    rendering complex scenes" (1993).
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    corners = np.asarray(mesh.triangles, np.int64)
    sound = np.asarray(np.isfinite(vertices).all(axis=1))
    corners = corners[sound[corners].all(axis=1)]
    part = _compact(Mesh(vertices, corners), np.asarray(errors, np.float64))
    if len(corners) <= triangles:
        return part
    side = np.sqrt(PER_CELL * triangle_areas(vertices, corners).sum() / triangles)
    for _ in range(ROUNDS):
        fewer = _gather(*part, side)
        count = len(fewer[0].triangles)
        if count <= triangles:
            break
        side *= 1.05 * np.sqrt(count / triangles)
    return fewer


def _gather(mesh: Mesh, errors: Float64Array, side: float) -> DecimatedMesh:
    """All vertices in a cubic cell as one, at their mean; triangles that collapse go."""
    vertices = np.asarray(mesh.vertices)
    cells = np.floor((vertices - vertices.min(axis=0)) / side).astype(np.int64)
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    known = ~np.isnan(errors)
    count, n_known = np.bincount(cell), np.bincount(cell, known)
    places = np.stack([np.bincount(cell, axis) / count for axis in vertices.T], axis=1)
    sums = np.bincount(cell, np.where(known, errors, 0.0))
    means = np.divide(sums, n_known, out=np.full(len(count), np.nan), where=n_known > 0)
    return _compact(Mesh(places, _without_repeats(cell[mesh.triangles])), means)


def _without_repeats(corners: IndexArray) -> IndexArray:
    """Triangles with three different corners, each once, in their order."""
    ordered = np.sort(corners, axis=1)
    solid = np.flatnonzero((np.diff(ordered, axis=1) > 0).all(axis=1))
    _, first = np.unique(ordered[solid], axis=0, return_index=True)
    return corners[solid[np.sort(first)]]


def _compact(mesh: Mesh, errors: Float64Array) -> DecimatedMesh:
    """Without the vertices that no triangle uses."""
    used: NDArray[np.bool_] = np.zeros(len(errors), bool)
    used[mesh.triangles] = True
    return keep_vertices(mesh, used), errors[used]
