"""A mesh with fewer triangles, for looking at; nothing is measured on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...recon.mesh import Mesh
from ..surface.triangles import Float64Array, IndexArray, triangle_areas

TRIANGLES = 8000
"""Enough to know a face and where it is wrong: about 3 mm between vertices on a 95 mm crop."""
PER_CELL = 3.0
"""Triangles for each square of a cell's side: a surface meets 1.5 cells there, each one vertex."""
ROUNDS = 6

DecimatedMesh = tuple[Mesh, Float64Array]
"""What is left of a mesh, mm, and of the errors (V,) at its vertices, NaN for none."""


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
    renumbered = np.cumsum(used) - 1
    part = Mesh(mesh.vertices[used], renumbered[mesh.triangles].astype(np.int32))
    return part, errors[used]
