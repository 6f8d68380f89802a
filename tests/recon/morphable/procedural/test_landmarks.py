"""The embedded face's landmarks: human distances, on their sides, in order."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import embedded_model


def _point(model: MorphableModel, number: int) -> np.ndarray:
    return model.mean_shape[model.landmarks[number - 1]].astype(np.float64)


def _distance(model: MorphableModel, first: int, second: int) -> float:
    return float(np.linalg.norm(_point(model, first) - _point(model, second)))


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        (37, 46, 87.0, 94.0),
        (40, 43, 31.0, 35.0),
        (28, 34, 46.0, 54.0),
        (28, 9, 112.0, 123.0),
        (49, 55, 47.0, 54.0),
        (1, 17, 132.0, 144.0),
        (32, 36, 24.0, 38.0),
    ],
)
def test_distances_are_human(
    model: MorphableModel, first: int, second: int, low: float, high: float
) -> None:
    assert low < _distance(model, first, second) < high


def test_nose_tip_leads(model: MorphableModel) -> None:
    depth = model.mean_shape[model.landmarks, 2]
    assert depth.argmax() == 30
    assert depth[30] - depth[[31, 35]].mean() > 15.0


def test_sides_are_the_subjects(model: MorphableModel) -> None:
    x = model.mean_shape[model.landmarks, 0]
    right = np.r_[0:8, 17:22, 31:33, 36:42, 48:51, 58:62, 67]
    left = np.r_[9:17, 22:27, 34:36, 42:48, 52:57, 63:66]
    assert (x[right] < 0).all() and (x[left] > 0).all()
    assert (x[[8, 27, 28, 29, 30, 33, 51, 57, 62, 66]] == 0).all()


def test_order_runs_along_the_features(model: MorphableModel) -> None:
    x, y = model.mean_shape[model.landmarks, :2].T
    for run in (np.r_[0:17], np.r_[17:27], np.r_[31:36], np.r_[36:40], np.r_[48:55]):
        assert (np.diff(x[run]) > 0).all()
    assert (np.diff(y[27:31]) < 0).all() and (np.diff(y[0:9]) < 0).all()
    assert (y[17:27] > y[[36, 45]].max()).all() and y[51] > y[62] > y[66] > y[57]


def test_eye_corners_lie_at_the_eyeballs(model: MorphableModel) -> None:
    for side, corners in (("left", (43, 46)), ("right", (40, 37))):
        eye = model.mean_shape[model.vertices_of(f"{side}_eye")]
        for corner in corners:
            assert np.linalg.norm(eye - _point(model, corner), axis=1).min() < 5.0


def test_every_resolution_has_the_same_ones(sized: MorphableModel) -> None:
    reference = embedded_model()
    moved = sized.mean_shape[sized.landmarks] - reference.mean_shape[reference.landmarks]
    assert np.abs(moved).max() < 0.01
