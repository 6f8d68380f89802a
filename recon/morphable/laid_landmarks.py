"""Where landmarks lie that a model does not name: roughly, from the embedded face."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .model import MorphableModel

Points = NDArray[np.float64]

NEEDED_SHARE = 0.5
"""Of a face's width and of its height, between the landmarks that are known: less says too
little of where the others lie."""


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
    points: Points = vertices.astype(np.float64)[landmarks]
    if not known.all():
        source = _embedded_landmarks()
        _check_spread(source, known, where)
        points[~known] = _lay(source, points, known)[~known]
    return points


def with_laid_landmarks(model: MorphableModel) -> MorphableModel:
    """The model with the vertices nearest to where its missing landmarks were laid.

    Raises:
        FacebenchError: too few are known.
    """
    from scipy.spatial import cKDTree

    missing = model.landmarks < 0
    points = landmark_points(model.mean_shape, model.landmarks, model.name)
    landmarks = model.landmarks.copy()
    landmarks[missing] = cKDTree(model.mean_shape).query(points[missing])[1]
    return replace(model, landmarks=landmarks)


def _embedded_landmarks() -> Points:
    from .procedural import embedded_model

    model = embedded_model()
    return model.mean_shape[model.landmarks].astype(np.float64)


def _check_spread(source: Points, known: NDArray[np.bool_], where: str) -> None:
    extent = np.ptp(source[known], axis=0) if known.any() else np.zeros(3)
    if (extent < NEEDED_SHARE * np.ptp(source, axis=0))[:2].any():
        raise FacebenchError(
            f"{where}: regions need landmarks, {(~known).sum()} of 68 are missing",
            "name at least the chin, the nose tip and the outer eye corners (iBUG 9, 31, 37, 46)",
        )


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
