"""The landmark network and the recogniser of packages, with random and with published weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from facebench.errors import FacebenchError
from facebench.recon.face.crop import Box
from facebench.recon.morphable.landmarks import MIRRORED
from facebench.recon.network.fetched import ScaledResNet, SeparableLandmarks
from facebench.recon.vision.detect import make_detector
from facebench.recon.vision.landmarks import (
    MOST_APART,
    SHARED,
    FetchedLandmarks,
    make_landmark_detector,
)
from facebench.recon.vision.recognition import ScaledRecogniser
from facebench.recon.weights.cache import load_fetched

FACE = Box(180.0, 80.0, 85.0, 85.0)
"""Of the landmarks in the astronaut's picture."""


def _random(network: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(1)
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.1)
    return network.eval().requires_grad_(False)


@dataclass(frozen=True)
class Elsewhere:
    """Finds a constant face; a `LandmarkDetector`."""

    points: np.ndarray

    def landmarks(self, frames: Sequence[np.ndarray], boxes: Sequence[Box]) -> np.ndarray:
        """The face, in each frame."""
        return np.repeat(self.points[None], len(frames), axis=0)


def test_the_mirror_image_has_the_mirror_image_of_the_landmarks() -> None:
    nowhere = Elsewhere(np.full((68, 2), 1e6, np.float32))
    detector = FetchedLandmarks(_random(SeparableLandmarks()), nowhere)
    frame = astronaut()
    width = frame.shape[1]
    turned = Box(width - FACE.left - FACE.width, FACE.top, FACE.width, FACE.height)
    first, other = detector.landmarks([frame, frame[:, ::-1]], [FACE, turned])
    expected = np.stack([width - 1 - first[list(MIRRORED), 0], first[list(MIRRORED), 1]], 1)
    np.testing.assert_allclose(other, expected, atol=1e-2)
    assert detector.landmarks([], []).shape == (0, 68, 2)


@pytest.mark.parametrize(("apart", "share"), [(0.5 * MOST_APART, 0.5), (1.5 * MOST_APART, 0.0)])
def test_two_networks_share_what_both_see(apart: float, share: float) -> None:
    network, frames, boxes = _random(SeparableLandmarks()), [astronaut()], [FACE]
    nowhere = Elsewhere(np.full((68, 2), 1e6, np.float32))
    own = FetchedLandmarks(network, nowhere).landmarks(frames, boxes)[0]
    off = np.array([apart * np.linalg.norm(own[36] - own[45]), 0.0], np.float32)
    found = FetchedLandmarks(network, Elsewhere(own + off)).landmarks(frames, boxes)[0]
    expected = own.copy()
    expected[SHARED] += share * off
    np.testing.assert_allclose(found, expected, atol=1e-3)
    corners_nose_and_lips = [36, 39, 42, 45, *range(27, 36), *range(48, 68)]
    np.testing.assert_array_equal(found[corners_nose_and_lips], own[corners_nose_and_lips])


def test_features_are_of_the_face_wherever_it_is_in_the_picture() -> None:
    features = ScaledRecogniser(_random(ScaledResNet()))
    frame = torch.tensor(astronaut()).permute(2, 0, 1)[None] / 255.0
    points = torch.tensor(np.random.default_rng(2).uniform(190, 260, (68, 2, 1)))
    # By whole cells of the coarsest level that faces are sampled from.
    moved = torch.nn.functional.pad(frame, (64, 0, 64, 0))
    there = points + 64.0
    assert features(frame, points).shape == (1, 128)
    torch.testing.assert_close(features(moved, there), features(frame, points))
    # Another part of the picture is another face.
    apart = features(frame, points + 100.0) - features(frame, points)
    assert apart.abs().max() > 1e-3


def test_equals_the_forward_pass_of_the_package(fetched: None) -> None:
    crop = astronaut()[65:177, 170:282]
    part = Image.fromarray(astronaut()[60:180, 165:285])
    face = np.asarray(part.resize((150, 150), Image.Resampling.BILINEAR))
    _, landmarks = load_fetched("face-api-68")
    _, recogniser = load_fetched("face-api-128")
    # Numbers of @vladmandic/face-api 1.7.15 in TensorFlow.js, shares of the crop.
    shares = (landmarks(_batch(crop))[0, :2] + 0.5) / 112
    expected = [[0.0574958, 0.3146915], [0.0630389, 0.4282325]]
    np.testing.assert_allclose(shares.numpy(), expected, atol=1e-5)
    features = recogniser(_batch(face))[0, :4]
    np.testing.assert_allclose(
        features.numpy(), [-0.0719470, 0.0188661, 0.0511287, -0.0491495], atol=1e-5
    )


def _batch(picture: np.ndarray) -> torch.Tensor:
    return torch.tensor(picture).permute(2, 0, 1)[None] / 255.0


def test_a_network_of_another_kind_is_refused(fetched: None) -> None:
    with pytest.raises(FacebenchError, match="mtcnn is a detector"):
        make_landmark_detector("mtcnn")
    with pytest.raises(FacebenchError, match="face-api-68 is a landmarks"):
        make_detector("face-api-68")


def test_what_is_no_detector_is_told() -> None:
    with pytest.raises(FacebenchError, match="is no detector"):
        make_detector("nobody")
