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
from facebench.recon.face.crop import Box, Window, box_of_points
from facebench.recon.morphable.landmarks import MIRRORED
from facebench.recon.network.fetched import ScaledResNet, SeparableLandmarks
from facebench.recon.vision.detect import make_detector
from facebench.recon.vision.landmarks import (
    CROP_BELOW_CENTRE,
    CROP_PER_BOX,
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


class Seen(torch.nn.Module):
    """A landmark network that sees one face in every crop, at points (68, 2) px of it."""

    image_size = 112

    def __init__(self, points: np.ndarray) -> None:
        super().__init__()
        self.points = torch.tensor(points, dtype=torch.float32)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """The face, once a crop (B, 3, S, S)."""
        return self.points.expand(len(crops), 68, 2)


def window_of(box: Box) -> Window:
    """What face-api's network is shown of a face whose landmarks have a box."""
    side, (x, y) = CROP_PER_BOX * max(box.width, box.height), box.centre
    y += CROP_BELOW_CENTRE * max(box.width, box.height)
    return Window(x - side / 2, y - side / 2, side)


def symmetric_face() -> np.ndarray:
    """Points (68, 2) px of the frame, alike on both sides of `FACE`'s middle."""
    points = np.random.default_rng(3).uniform(-40, 40, (68, 2))
    mirrored = points[list(MIRRORED)] * [-1, 1]
    return np.asarray((points + mirrored) / 2 + FACE.centre, np.float32)


def test_the_mirror_image_has_the_mirror_image_of_the_landmarks() -> None:
    frame, face = astronaut(), symmetric_face() + np.float32([3.0, 0.0])
    width = frame.shape[1]
    network = _random(SeparableLandmarks())
    first = FetchedLandmarks(network, Elsewhere(face)).landmarks([frame], [FACE])[0]
    mirrored = np.stack([width - 1 - face[list(MIRRORED), 0], face[list(MIRRORED), 1]], 1)
    turned = Box(width - FACE.left - FACE.width, FACE.top, FACE.width, FACE.height)
    detector = FetchedLandmarks(network, Elsewhere(mirrored))
    other = detector.landmarks([frame[:, ::-1]], [turned])[0]
    expected = np.stack([width - 1 - first[list(MIRRORED), 0], first[list(MIRRORED), 1]], 1)
    np.testing.assert_allclose(other, expected, atol=1e-2)
    assert detector.landmarks([], []).shape == (0, 68, 2)


@pytest.mark.parametrize("apart", [0.5 * MOST_APART, 1.5 * MOST_APART])
def test_two_networks_share_what_both_see(apart: float) -> None:
    face = symmetric_face()
    window = window_of(box_of_points(face))
    # Downwards, so that the crop's mirror image agrees.
    off = np.float32([0.0, apart * np.linalg.norm(face[36] - face[45])])
    network = Seen(window.to_crop(face + off, Seen.image_size))
    found = FetchedLandmarks(network, Elsewhere(face)).landmarks([astronaut()], [FACE])[0]
    expected = face + off
    expected[SHARED] -= off / 2
    if apart > MOST_APART:
        # They do not see one face: the other says neither where it is nor what it is like.
        seen = network.points.numpy()
        expected = window_of(FACE).to_frame(seen, Seen.image_size)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_detector_s_box_does_not_move_landmarks() -> None:
    face = symmetric_face()
    network = Seen(window_of(box_of_points(face)).to_crop(face, Seen.image_size))
    boxes = [FACE, Box(FACE.left - 25, FACE.top + 15, 120.0, 120.0)]
    found = FetchedLandmarks(network, Elsewhere(face)).landmarks([astronaut()] * 2, boxes)
    np.testing.assert_allclose(found, [face, face], atol=1e-3)


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
