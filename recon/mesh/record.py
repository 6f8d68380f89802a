"""A triangle mesh in millimetres, the currency between reconstruction and measurement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
