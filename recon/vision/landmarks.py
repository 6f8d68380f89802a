"""Where the 68 landmarks are in a frame whose face box is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ..network.landmarker import LandmarkNetwork
from ..network.state_dicts import fitted
from ..network.vision_weights import EMBEDDED, chosen_weights, load_network
from ..recipes.vision import LandmarkerRecipe
from .crop import Box, crop_square, crop_window

Pixels = NDArray[np.uint8]

FAN = "fan"

_BATCH = 32


class LandmarkDetector(Protocol):
    """Finds 68 landmarks in iBUG order."""

    def landmarks(self, frames: Sequence[Pixels], boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Landmarks (N, 68, 2) of one face each in N frames (H, W, 3) RGB.

        Args:
            frames: of any sizes.
            boxes: the landmark box of the face in each, roughly.

        Returns:
            Pixels of the frame, x right and y down, integers at pixel centres.
        """
        ...


class NetworkLandmarks:
    """This package's own small network on square crops.

    Args:
        network: trained on crops of `crop_square`.
        device: where it computes.
    """

    def __init__(self, network: LandmarkNetwork, device: torch.device | str = "cpu") -> None:
        self._network = network.eval().requires_grad_(False).to(device)
        self._device = device

    def landmarks(self, frames: Sequence[Pixels], boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Landmarks (N, 68, 2) in px of the frames, whose face boxes are given."""
        size = self._network.image_size
        crops = [crop_square(frame, box, size) for frame, box in zip(frames, boxes, strict=True)]
        windows = [crop_window(box) for box in boxes]
        found = self.of_crops(np.stack(crops)) if crops else np.zeros((0, 68, 2), np.float32)
        placed = [window.to_frame(one, size) for window, one in zip(windows, found, strict=True)]
        return np.stack(placed) if placed else found

    @torch.no_grad()
    def of_crops(self, crops: Pixels) -> NDArray[np.float32]:
        """Landmarks (N, 68, 2) in px of crops (N, S, S, 3) RGB of the network's own size."""
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        batches = [
            self._network(part.to(self._device).float() / 255.0)
            for part in torch.split(images, _BATCH)
        ]
        return torch.cat(batches).cpu().numpy()


def make_landmark_detector(
    weights: str | Path = EMBEDDED, device: torch.device | str = "cpu"
) -> LandmarkDetector:
    """A landmark detector.

    Args:
        weights: `embedded`, `fan` (face-alignment with its own weights), or a file of
            `facebench train --recipe landmarker`.
        device: where it computes.

    Raises:
        FacebenchError: no such weights, not those of a landmarker, or face-alignment is missing.
    """
    if str(weights) == FAN:
        from .fan import FanLandmarks

        return FanLandmarks(str(device))
    return NetworkLandmarks(landmark_network(weights), device)


def landmark_network(weights: str | Path = EMBEDDED) -> LandmarkNetwork:
    """The package's landmark network.

    Args:
        weights: `embedded`, or a file of `facebench train --recipe landmarker`.

    Raises:
        FacebenchError: no such weights, or not those of a landmarker.
    """
    path = chosen_weights(weights, "landmarker")
    loaded = load_network(path, LandmarkerRecipe)
    size = loaded.recipe.network
    build = partial(LandmarkNetwork, size.width, size.image_size)
    return fitted(build, loaded.state, path, "the landmark network of its recipe")
