"""Landmarks come back in the frame's own pixels, wherever the face stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.errors import FacebenchError
from facebench.recon.face.crop import Box, crop_window
from facebench.recon.network.dense import LandmarkNetwork
from facebench.recon.network.vision_weights import save_network
from facebench.recon.recipes.vision import LandmarkerRecipe, ParserRecipe
from facebench.recon.vision.landmarks import NetworkLandmarks, both_ways, make_landmark_detector

SIDE = 96


class BrightestPoint(LandmarkNetwork):
    """Says that every landmark is at the brightest place of the crop."""

    def heat_maps(self, crops: torch.Tensor) -> torch.Tensor:
        cells = torch.nn.functional.avg_pool2d(crops.mean(1, keepdim=True), 4)
        return (cells * 200).expand(-1, 68, -1, -1)


def frame_with_dot(x: int, y: int, height: int, width: int, radius: int) -> np.ndarray:
    rows, columns = np.indices((height, width))
    near = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return np.repeat((near * 255).astype(np.uint8)[..., None], 3, axis=2)


def test_points_are_in_the_pixels_of_each_frame() -> None:
    detector = NetworkLandmarks(BrightestPoint(4, SIDE))
    boxes = [Box(100, 60, 80, 60), Box(-10.5, 20.25, 50, 64)]
    dots = [(138, 84), (14, 60)]
    shapes = [(240, 320), (120, 100)]
    frames = [frame_with_dot(*dot, *shape, 6) for dot, shape in zip(dots, shapes, strict=True)]
    found = detector.landmarks(frames, boxes)
    assert found.shape == (2, 68, 2)
    assert found.dtype == np.float32
    for points, dot, box in zip(found, dots, boxes, strict=True):
        pixel = crop_window(box).side / SIDE
        np.testing.assert_allclose(points, np.tile(dot, (68, 1)), atol=2.5 * pixel)


def test_no_frames_give_no_landmarks() -> None:
    assert NetworkLandmarks(LandmarkNetwork(4, SIDE)).landmarks([], []).shape == (0, 68, 2)


def test_a_window_maps_the_corners_of_its_crop() -> None:
    window = crop_window(Box(10, 20, 31, 62))
    ends = np.array([[-0.5, -0.5], [95.5, 95.5]], np.float32)
    placed = window.to_frame(ends, 96)
    expected = np.array([[window.left, window.top]]) + np.array([[0], [window.side]]) - 0.5
    np.testing.assert_allclose(placed, expected, rtol=1e-6)


def test_own_weights_make_a_detector_and_others_are_refused(tmp_path: Path) -> None:
    recipe = LandmarkerRecipe("landmarker")
    network = LandmarkNetwork(recipe.network.width, recipe.network.image_size).eval()
    path = tmp_path / "weights.pt"
    save_network(path, network.state_dict(), recipe, steps=3, seed=0)
    crops = np.random.default_rng(0).integers(0, 255, (1, 96, 96, 3), dtype=np.uint8)
    detector = make_landmark_detector(path)
    assert isinstance(detector, NetworkLandmarks)
    expected = both_ways(network, torch.from_numpy(crops).permute(0, 3, 1, 2) / 255.0)
    # Weights are kept in half precision.
    np.testing.assert_allclose(detector.of_crops(crops), expected.detach().numpy(), atol=0.1)
    save_network(path, network.state_dict(), ParserRecipe("parser"), steps=3, seed=0)
    with pytest.raises(FacebenchError, match="weights of a parser, not of a landmarker"):
        make_landmark_detector(path)
