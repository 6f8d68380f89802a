"""Landmarks of a face model: tables in files, and registered ones where a model names too few."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.text import parse_toml, read_text
from .model import MorphableModel

_MOST_BYTES = 2**20
_EXPECTED = (
    "expected 68 vertex numbers counted from 0 (-1: none), or a TOML table of "
    "'iBUG number = vertex' like eos' ibug_to_sfm.txt, iBUG counted from 1"
)

Points = NDArray[np.float64]

NEEDED_SHARE = 0.5
"""Of a face's width and of its height, between the landmarks that are known: less says too
little of where the others lie."""


def read_landmark_table(path: Path, n_vertices: int) -> NDArray[np.int64]:
    """Vertex (68,) of each landmark, -1 where the file names none.

    Raises:
        FacebenchError: the file is missing, of another form, or names vertices that are not there.
    """
    try:
        text = read_text(path, _MOST_BYTES)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: unreadable landmarks", _EXPECTED) from error
    # A list of numbers has no "=", a TOML table cannot be without.
    landmarks = _from_toml(text, path) if "=" in text else _from_list(text, path)
    if landmarks.max() >= n_vertices or landmarks.min() < -1 or (landmarks < 0).all():
        raise FacebenchError(
            f"{path}: landmarks name vertices {landmarks.min()} to {landmarks.max()}",
            f"the model's vertices are 0 to {n_vertices - 1}; is it another model's table?",
        )
    return landmarks


def _from_list(text: str, path: Path) -> NDArray[np.int64]:
    try:
        numbers = np.array(text.split(), np.int64)
    except (ValueError, OverflowError) as error:
        raise FacebenchError(f"{path}: no landmark table", _EXPECTED) from error
    if numbers.shape != (68,):
        raise FacebenchError(f"{path}: {numbers.size} landmarks", _EXPECTED)
    return numbers


def _from_toml(text: str, path: Path) -> NDArray[np.int64]:
    """The table whose keys are landmark numbers, at the top level or one level down."""
    try:
        parsed = parse_toml(text)
    except ValueError as error:
        raise FacebenchError(f"{path}: no landmark table ({error})", _EXPECTED) from error
    landmarks = np.full(68, -1, np.int64)
    for number, vertex in _entries(parsed):
        # iBUG counts its landmarks from 1, all vertices count from 0.
        landmarks[number - 1] = vertex
    if (landmarks < 0).all():
        raise FacebenchError(f"{path}: no landmark in it", _EXPECTED)
    return landmarks


def _entries(parsed: dict[str, Any]) -> list[tuple[int, int]]:
    tables = [parsed, *(value for value in parsed.values() if isinstance(value, dict))]
    return [
        (int(key), vertex)
        for table in tables
        for key, vertex in table.items()
        if re.fullmatch(r"[0-9]{1,2}", key) and 1 <= int(key) <= 68
        # Not isinstance: in Python true is an int, and in TOML it is a mistake.
        if type(vertex) is int and -1 <= vertex < 2**31
    ]


def landmark_points(vertices: NDArray[Any], landmarks: NDArray[np.integer], where: str) -> Points:
    """Positions (68, 3) of all landmarks; missing ones are transferred from the embedded face.

    A similarity takes the embedded model's landmarks to the known ones; what is left over there
    is spread to the others (radial basis functions, linear kernel). Good enough to draw regions
    by, not to train on: on ICT-FaceKit, with 12 known, the jaw line ends up 12 mm off and the
    others 6 mm, with 50 known 12 mm and 4 mm (`tests/benchmarks/transferred_landmarks.py`).

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
        points[~known] = _transfer(source, points, known)[~known]
    return points


def transfer_missing_landmarks(model: MorphableModel) -> MorphableModel:
    """The model with the vertices nearest to where its missing landmarks were transferred to.

    Raises:
        FacebenchError: too few are known.
    """
    from scipy.spatial import cKDTree

    missing = model.landmarks < 0
    points = landmark_points(model.mean_shape, model.landmarks, model.name)
    # Those that the model names stay as they are: only gaps are filled.
    landmarks = model.landmarks.copy()
    landmarks[missing] = cKDTree(model.mean_shape).query(points[missing])[1]
    return replace(model, landmarks=landmarks)


def _embedded_landmarks() -> Points:
    from .procedural import embedded_model

    model = embedded_model()
    return model.mean_shape[model.landmarks].astype(np.float64)


def _check_spread(source: Points, known: NDArray[np.bool_], where: str) -> None:
    extent = np.ptp(source[known], axis=0) if known.any() else np.zeros(3)
    # Depth does not count: two points far apart in the image plane fix the similarity well enough.
    if (extent < NEEDED_SHARE * np.ptp(source, axis=0))[:2].any():
        raise FacebenchError(
            f"{where}: regions need landmarks, {(~known).sum()} of 68 are missing",
            "name at least the chin, the nose tip and the outer eye corners (iBUG 9, 31, 37, 46)",
        )


def _transfer(source: Points, target: Points, known: NDArray[np.bool_]) -> Points:
    from scipy.interpolate import RBFInterpolator

    # Similarity first: radial functions alone would leave far landmarks at the embedded size.
    placed = _similar(source, source[known], target[known])
    # A linear kernel does not overshoot beyond the known points, as thin plates do along the jaw.
    rest = RBFInterpolator(placed[known], (target - placed)[known], kernel="linear", degree=0)
    return placed + np.asarray(rest(placed), np.float64)


def _similar(points: Points, source: Points, target: Points) -> Points:
    """Points (N, 3) under the similarity that takes source to target best (Umeyama 1991)."""
    from_centre, to_centre = source.mean(axis=0), target.mean(axis=0)
    start, end = source - from_centre, target - to_centre
    left, strength, right = np.linalg.svd(end.T @ start)
    # Without the sign a nearly flat set of points may be mirrored instead of turned.
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    scale = float((strength * sign).sum() / (start**2).sum())
    moved: Points = (points - from_centre) @ ((left * sign) @ right).T * scale + to_centre
    return moved
