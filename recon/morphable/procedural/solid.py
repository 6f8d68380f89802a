"""Signed distances of simple solids and their smooth combinations, in mm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Point = tuple[float, float, float]


def norm(vectors: Array) -> Array:
    """Length of (…, D) vectors, summed in a fixed order so that every CPU gives the same bits."""
    total = np.zeros(vectors.shape[:-1])
    for axis in range(vectors.shape[-1]):
        total = total + vectors[..., axis] * vectors[..., axis]
    return np.sqrt(total)


def ellipsoid(points: Array, centre: Point, radii: Point) -> Array:
    """First-order distance of (N, 3) points to an axis-aligned ellipsoid, negative inside."""
    scaled = (points - np.array(centre)) / np.array(radii)
    length = norm(scaled)
    gradient = norm(scaled / np.array(radii))
    return length * (length - 1.0) / np.maximum(gradient, 1e-9)


def capsule(points: Array, start: Point, end: Point, radius: tuple[float, float]) -> Array:
    """Distance of (N, 3) points to a rod whose radius goes linearly from start to end."""
    first, axis = np.array(start), np.array(end) - np.array(start)
    offset = points - first
    along = offset[:, 0] * axis[0] + offset[:, 1] * axis[1] + offset[:, 2] * axis[2]
    fraction = np.clip(along / float((axis * axis).sum()), 0.0, 1.0)
    away = norm(offset - fraction[:, None] * axis)
    width: Array = radius[0] + (radius[1] - radius[0]) * fraction
    return away - width


def union(first: Array, second: Array, blend: float) -> Array:
    """Distance to both solids together; `blend` mm wide fillet in between."""
    near = np.maximum(blend - np.abs(first - second), 0.0) / blend
    return np.minimum(first, second) - near * near * near * (blend / 6.0)


def cut(solid: Array, tool: Array, blend: float) -> Array:
    """Distance to the solid with the tool taken away; `blend` mm wide round edge."""
    return -union(-solid, tool, blend)
