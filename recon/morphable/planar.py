"""Points against polygons and polylines in a plane, without loops over the points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def inside_polygon(points: Points, polygon: Points) -> NDArray[np.bool_]:
    """Which of the (N, 2) points lie in the closed (M, 2) polygon, by the even-odd rule; (N,)."""
    x, y = points[:, :1], points[:, 1:]
    start, end = polygon, np.roll(polygon, -1, axis=0)
    straddles = (start[:, 1] > y) != (end[:, 1] > y)
    rise = np.where(start[:, 1] == end[:, 1], 1.0, end[:, 1] - start[:, 1])
    crossing = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / rise
    inside: NDArray[np.bool_] = (straddles & (x < crossing)).sum(axis=1) % 2 == 1
    return inside


def distance_to_polyline(points: Points, polyline: Points) -> NDArray[np.float64]:
    """Distance of the (N, 2) points to the open (M, 2) polyline, (N,)."""
    start, edge = polyline[:-1], np.diff(polyline, axis=0)
    offset = points[:, None] - start
    length_squared = np.maximum((edge**2).sum(axis=1), 1e-12)
    along = ((offset * edge).sum(axis=2) / length_squared).clip(0.0, 1.0)
    gap = offset - along[..., None] * edge
    nearest: NDArray[np.float64] = np.sqrt((gap**2).sum(axis=2).min(axis=1))
    return nearest


def distance_to_polygon(points: Points, polygon: Points) -> NDArray[np.float64]:
    """Distance of the (N, 2) points to the closed (M, 2) polygon, 0 inside; (N,)."""
    outline = distance_to_polyline(points, np.vstack([polygon, polygon[:1]]))
    return np.where(inside_polygon(points, polygon), 0.0, outline)
