"""What a face model must satisfy beyond its array shapes: unit, index base, direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError

MILLIMETRES = {"m": 1000.0, "dm": 100.0, "cm": 10.0, "mm": 1.0, "um": 0.001}
"""Length of each unit in mm."""

_FACE_EXTENT = (90.0, 250.0)
"""Longer side in mm of the box around a face's landmarks, from child to giant."""

_NOSE_RADIUS = 15.0
"""Around its tip, in mm, where the skin faces the viewer."""


def check_size(points: NDArray[Any], where: str, unit: str = "mm") -> None:
    """Refuse landmarks (N, 3) in mm whose extent is no face's, naming the unit it looks like.

    `unit` is what they were taken to be in before they were made mm.
    """
    extent = float(np.ptp(points, axis=0).max())
    if _is_face_extent(extent):
        return
    stored = extent / MILLIMETRES[unit]
    likely = [name for name, mm in MILLIMETRES.items() if _is_face_extent(stored * mm)]
    if likely:
        hint = f"it looks like {likely[0]}; give 'facebench models import' --unit {likely[0]}"
    else:
        hint = "a face spans 100 to 200 mm; check the unit and the landmarks"
    raise FacebenchError(f"{where}: the landmarks span {extent:.4g} mm, which is no face", hint)


def _is_face_extent(extent: float) -> bool:
    return _FACE_EXTENT[0] <= extent <= _FACE_EXTENT[1]


def check_direction(vertices: NDArray[Any], landmarks: NDArray[np.integer], where: str) -> None:
    """Refuse a face unless x is the subject's left, y up, z to the viewer.

    Args:
        vertices: (V, 3).
        landmarks: (68,) vertices in iBUG order; directions between missing ones (-1) go unseen.
        where: what errors call the source.
    """
    wrong = [
        axis
        for axis, ahead, behind in (("x", 45, 36), ("y", 36, 8), ("z", 30, 36))
        if landmarks[ahead] >= 0 and landmarks[behind] >= 0
        if np.subtract(*vertices[landmarks[[ahead, behind]], "xyz".index(axis)]) <= 0
    ]
    if wrong:
        raise FacebenchError(
            f"{where}: the face points the wrong way along {' and '.join(wrong)}",
            "expected x to the subject's left, y up, z towards the viewer, iBUG landmark order",
        )


def check_outward(
    vertices: NDArray[Any], triangles: NDArray[np.integer], nose_tip: int, where: str
) -> None:
    """Refuse triangles that are clockwise seen from outside, judged around the nose tip.

    Args:
        vertices: (V, 3) mm, facing +z.
        triangles: (F, 3).
        nose_tip: its vertex.
        where: what errors call the source.
    """
    corners = vertices.astype(np.float64)[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    away = np.linalg.norm(corners.mean(axis=1) - vertices[nose_tip], axis=1)
    if normals[away < _NOSE_RADIUS, 2].sum() < 0:
        raise FacebenchError(
            f"{where}: the triangles face inward",
            "another program swapped their corners; take the original file",
        )


def check_indices(name: str, indices: NDArray[np.integer], n_vertices: int, where: str) -> None:
    """Refuse vertex numbers below -1 (-1 means none), beyond the vertices, or counted from 1."""
    if not indices.size:
        raise FacebenchError(f"{where}: {name} is empty", "the model needs a surface")
    low, high = int(indices.min()), int(indices.max())
    if low >= 1 and high == n_vertices:
        raise FacebenchError(
            f"{where}: {name} count vertices from 1 (they run from {low} to {high})",
            "subtract 1: vertices are counted from 0",
        )
    if low < -1 or high >= n_vertices:
        raise FacebenchError(
            f"{where}: {name} run from {low} to {high}", f"the vertices are 0 to {n_vertices - 1}"
        )
