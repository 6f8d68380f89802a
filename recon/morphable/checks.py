"""What a face model must satisfy beyond its array shapes: unit, index base, direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError

MILLIMETRES = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "um": 0.001}
"""Length of each unit in mm."""

_FACE_EXTENT = (90.0, 250.0)
"""Longer side in mm of the box around a face's landmarks, from child to giant."""


def check_size(points: NDArray[Any], where: str) -> None:
    """Refuse landmarks (N, 3) whose extent is no face's in mm, naming the unit it looks like."""
    extent = float(np.ptp(points, axis=0).max())
    if _is_face_extent(extent):
        return
    likely = [unit for unit, mm in MILLIMETRES.items() if _is_face_extent(extent * mm)]
    if likely:
        hint = f"it looks like {likely[0]}; convert it with 'models import npz --unit {likely[0]}'"
    else:
        hint = "a face spans 100 to 200 mm; check the unit and the landmarks"
    raise FacebenchError(f"{where}: the landmarks span {extent:.4g} mm, which is no face", hint)


def _is_face_extent(extent: float) -> bool:
    return _FACE_EXTENT[0] <= extent <= _FACE_EXTENT[1]


def check_direction(points: NDArray[Any], where: str) -> None:
    """Refuse 68 iBUG landmarks (68, 3) unless x is the subject's left, y up, z to the viewer."""
    wrong = [
        axis
        for axis, ahead, behind in (("x", 45, 36), ("y", 27, 8), ("z", 30, 0))
        if points[ahead, "xyz".index(axis)] <= points[behind, "xyz".index(axis)]
    ]
    if wrong:
        raise FacebenchError(
            f"{where}: the face points the wrong way along {' and '.join(wrong)}",
            "expected x to the subject's left, y up, z towards the viewer, iBUG landmark order",
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
