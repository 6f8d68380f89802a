"""Normals of triangles, as long as twice their area."""

from __future__ import annotations

import numpy as np


def normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Normals (F, 3) of triangles (F, 3) over vertices (V, 3)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a)
