"""Where the mean face stands in its crop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from facebench.recon.face.crop import LANDMARK_SHARE, mean_face_pose
from facebench.recon.face.imaging import project
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model("embedded")


def _landmarks_in_view(model: MorphableModel) -> np.ndarray:
    pose = torch.from_numpy(mean_face_pose(model)[None]).float()
    points = torch.tensor(model.mean_shape[model.landmarks[model.landmarks >= 0]])
    return project(points[..., None], pose)[:, :2, 0].numpy()


def test_the_landmark_box_is_centred_and_has_its_share(model: MorphableModel) -> None:
    points = _landmarks_in_view(model)
    low, high = points.min(axis=0), points.max(axis=0)
    np.testing.assert_allclose(low + high, 0.0, atol=1e-5)
    np.testing.assert_allclose((high - low).max() / 2.0, LANDMARK_SHARE, rtol=1e-5)


def test_framing_ignores_where_the_model_lies_and_its_missing_landmarks(
    model: MorphableModel,
) -> None:
    landmarks = model.landmarks.copy()
    landmarks[[30, 62]] = -1
    shift = np.array([40.0, -300.0, 7.0], np.float32)
    moved = replace(model, mean_shape=model.mean_shape + shift, landmarks=landmarks)
    expected = np.delete(_landmarks_in_view(model), [30, 62], axis=0)
    np.testing.assert_allclose(_landmarks_in_view(moved), expected, atol=1e-4)
