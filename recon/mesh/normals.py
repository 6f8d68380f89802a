"""Vertex normals of a mesh in numpy, for files; the renderer has its own in PyTorch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .record import Mesh


def vertex_normals(mesh: Mesh) -> NDArray[np.float64]:
    """Unit normals (V, 3), weighted by triangle area; +z where no triangle touches a vertex."""
    corners = mesh.vertices[mesh.triangles].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack([_sum_at_corners(mesh, across[:, axis]) for axis in range(3)], axis=1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    total[length[:, 0] == 0.0] = (0.0, 0.0, 1.0)
    return total / np.where(length == 0.0, 1.0, length)


def _sum_at_corners(mesh: Mesh, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum (V,) of one value (F,) a triangle over the triangles around every vertex."""
    corners = mesh.triangles.ravel()
    total = np.bincount(corners, np.repeat(values, 3), minlength=len(mesh.vertices))
    return total.astype(np.float64)
