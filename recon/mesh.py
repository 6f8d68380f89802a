"""A triangle mesh in millimetres, the currency between reconstruction and measurement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import FacebenchError

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]


@dataclass(frozen=True)
class Mesh:
    """Vertices and triangles, with what a face may carry along.

    Attributes:
        vertices: (V, 3) float64, mm. Subject facing +z, y up, x to the subject's left,
            unless the mesh is a scan, which may lie anywhere.
        triangles: (F, 3) int32, counter-clockwise seen from outside.
        landmarks: (68,) int, vertex of each iBUG landmark, or None.
        colours: (V, 3) float in [0, 1], or None.
    """

    vertices: FloatArray
    triangles: IntArray
    landmarks: IntArray | None = None
    colours: FloatArray | None = None


def check_arrays(mesh: Mesh) -> None:
    """Refuse what NumPy would take for something else: it counts a corner of -1, as padded
    triangles have it, from the end.

    Raises:
        FacebenchError: arrays of other shapes, or a triangle of vertices that are not there.
    """
    vertices, triangles = np.shape(mesh.vertices), np.asarray(mesh.triangles)
    if len(vertices) != 2 or vertices[1] != 3 or (triangles.size and triangles.shape[1:] != (3,)):
        raise FacebenchError(
            f"a mesh of vertices {vertices} and triangles {triangles.shape}",
            "expected arrays (V, 3) and (F, 3)",
        )
    wrong = (triangles < 0) | (triangles >= vertices[0]) | (triangles % 1 != 0)
    if wrong.any():
        raise FacebenchError(
            f"a triangle has the corner {triangles[wrong][0]:g} of {vertices[0]:,} vertices",
            "corners count from 0, and padded triangles are to be left out",
        )


def vertex_normals(mesh: Mesh) -> NDArray[np.float64]:
    """Unit normals (V, 3), weighted by triangle area; +z where no triangle touches a vertex."""
    corners = mesh.vertices[mesh.triangles].astype(np.float64)
    # Not normalised: its length weighs each triangle by its area.
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack([_sum_at_corners(mesh, across[:, axis]) for axis in range(3)], axis=1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    # glTF demands unit normals, of unused vertices as well.
    total[length[:, 0] == 0.0] = (0.0, 0.0, 1.0)
    return total / np.where(length == 0.0, 1.0, length)


def _sum_at_corners(mesh: Mesh, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum (V,) of one value (F,) a triangle over the triangles around every vertex."""
    corners = mesh.triangles.ravel()
    total = np.bincount(corners, np.repeat(values, 3), minlength=len(mesh.vertices))
    return total.astype(np.float64)
