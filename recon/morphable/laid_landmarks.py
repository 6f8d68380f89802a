"""Where landmarks lie that a model does not name: roughly, from the embedded face."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError

Points = NDArray[np.float64]

NEEDED = (8, 30, 36, 45)
"""Chin, nose tip and outer eye corners, counted from 0: without them nothing can be laid."""


def landmark_points(vertices: NDArray[Any], landmarks: NDArray[np.integer], where: str) -> Points:
    """Positions (68, 3) of all landmarks, those that are missing laid from the embedded face.

    A similarity takes the embedded model's landmarks to the known ones; what is left over there
    is spread to the others (radial basis functions, linear kernel). Good enough to draw regions
    by, not to train on: on ICT-FaceKit, with 12 known, the jaw line ends up 12 mm off and the
    others 6 mm, with 50 known 12 mm and 4 mm (`tests/benchmarks/laid_landmarks.py`).

    Args:
        vertices: (V, 3) mm, facing +z, y up.
        landmarks: (68,) vertex indices in iBUG order, -1 where the model names none.
        where: what errors call the source.

    Raises:
        FacebenchError: too few are known.
    """
    known = landmarks >= 0
    if not known[list(NEEDED)].all():
        raise FacebenchError(
            f"{where}: regions need landmarks, {(~known).sum()} of 68 are missing",
            "name at least the chin, the nose tip and the outer eye corners (iBUG 9, 31, 37, 46)",
        )
    points: Points = vertices.astype(np.float64)[landmarks]
    if not known.all():
        points[~known] = _lay(_embedded_landmarks(), points, known)[~known]
    return points


def _embedded_landmarks() -> Points:
    from .procedural import embedded_model

    model = embedded_model()
    return model.mean_shape[model.landmarks].astype(np.float64)


def _lay(source: Points, target: Points, known: NDArray[np.bool_]) -> Points:
    from scipy.interpolate import RBFInterpolator

    placed = _similar(source, source[known], target[known])
    rest = RBFInterpolator(placed[known], (target - placed)[known], kernel="linear", degree=0)
    return placed + np.asarray(rest(placed), np.float64)


def _similar(points: Points, source: Points, target: Points) -> Points:
    """Points (N, 3) under the similarity that takes source to target best (Umeyama 1991)."""
    from_centre, to_centre = source.mean(axis=0), target.mean(axis=0)
    start, end = source - from_centre, target - to_centre
    left, strength, right = np.linalg.svd(end.T @ start)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    scale = float((strength * sign).sum() / (start**2).sum())
    moved: Points = (points - from_centre) @ ((left * sign) @ right).T * scale + to_centre
    return moved
