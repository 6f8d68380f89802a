"""What no surface is and a file holds all the same: copies, loose points, triangles of no area."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ...errors import count_of
from ...recon.mesh import Mesh
from ..surface.triangles import Float64Array, lexicographic_order, triangle_areas

COPY_MM = 1e-4
"""Vertices closer than this are one: seams of textures, and STL, write a vertex several times."""
_ENORMOUS = 1e50
"""Coordinates from which on areas overflow."""
_LINE = np.array([0.5773, 0.2113, 0.7887])
"""Of a length just below 1: two points are at least as far apart as they are along it."""
_MOST_STEPS = 64
"""A vertex has some six triangles, each with a copy in STL; more in one place is another matter."""


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
    """
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
