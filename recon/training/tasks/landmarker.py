"""Learning where 68 landmarks are."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from ...export.sheet import to_pictures
from ...losses.landmarks import FRAME, landmark_loss
from ...network.dense import LandmarkNetwork
from ...recipes.vision import LandmarkerRecipe
from ..batches import Photographs
from ..optimise import Row
from ..workers import SINGLE_PROCESS, ProcessGroup
from .task import MEASURED, Learner, LossTerms, in_batches, spread_rows

_EYES = (36, 45)
"""Outer corners of both eyes, whose distance errors are normalised by."""

_SHOWN = 12
_SHOWN_SIDE = 192


class LandmarkLearner(Learner):
    """The landmark network and the Wing loss."""

    def __init__(
        self, recipe: LandmarkerRecipe, people: int = 0, group: ProcessGroup = SINGLE_PROCESS
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.all_reduce = group.mean
        self.network = LandmarkNetwork(recipe.network.width, recipe.network.image_size)

    def forward(
        self, images: Tensor, landmarks: Tensor, masks: Tensor, people: Tensor, noise: Tensor
    ) -> LossTerms:
        """The Wing loss; points that are unknown or off the picture do not count."""
        found = self.network(images).permute(1, 2, 0)
        side = images.shape[2]
        # NaN compares as false: unknown points are out as well.
        seen = ((landmarks >= 0) & (landmarks <= side - 1)).all(dim=1)
        # 0 x NaN is NaN: weight 0 alone would not keep an unknown point out of the sum.
        target = landmarks.where(landmarks.isfinite(), 0.0)
        recipe = self.recipe
        weights = seen.to(found.dtype)
        wing = landmark_loss(
            found, target, weights, side, recipe.width, recipe.epsilon, self.all_reduce
        )
        return {"landmark": wing}

    def measure(self, held_out: Photographs, device: torch.device) -> Row:
        """Mean error over photographs and points; `unreadable` photographs are not among them.

        `landmark_px` is in px of the 224 frame; `nme_percent` is over the distance of the outer
        eye corners of the same face.
        """
        errors = []
        rows = range(min(MEASURED, len(held_out)))
        unreadable = len(rows)
        side = self.recipe.network.image_size
        for read, truth in in_batches(held_out, rows, side, device):
            unreadable -= len(read)
            errors.append(point_errors(self._find_points(truth.images), truth.landmarks))
        # Over points, not photographs: one with few known points counts less.
        pixels, normalised = torch.cat(errors, dim=1).nanmean(dim=1).tolist()
        measures = {"landmark_px": pixels * FRAME / side, "nme_percent": 100.0 * normalised}
        return measures | {"unreadable": float(unreadable)}

    def picture(self, photographs: Photographs, device: torch.device) -> NDArray[np.uint8]:
        """Photographs with the points that were found (green) and the true ones (red)."""
        rows = spread_rows(photographs, _SHOWN)
        side = self.recipe.network.image_size
        drawn = []
        for _, truth in in_batches(photographs, rows, side, device):
            found = self._find_points(truth.images).cpu().numpy()
            true = truth.landmarks.cpu().numpy()
            pictures = to_pictures(truth.images)
            drawn += [_draw_points(*one) for one in zip(pictures, found.T, true.T, strict=True)]
        return _tile(drawn)

    @torch.no_grad()
    def _find_points(self, images: Tensor) -> Tensor:
        """Landmarks (68, 2, B) that the network finds."""
        points: Tensor = self.eval().network(images)
        return points.permute(1, 2, 0)


def point_errors(found: Tensor, truth: Tensor) -> Tensor:
    """Errors (2, 68 B) of landmarks (68, 2, B): px, and shares of the outer eye distance."""
    distance = (found - truth).square().sum(1).sqrt()
    first, second = _EYES
    eyes = (truth[first] - truth[second]).square().sum(0).sqrt()
    return torch.stack([distance.flatten(), (distance / eyes).flatten()])


def _draw_points(
    picture: NDArray[np.uint8], found: NDArray[np.float32], true: NDArray[np.float32]
) -> NDArray[np.uint8]:
    factor = _SHOWN_SIDE / picture.shape[0]
    image = Image.fromarray(picture).resize((_SHOWN_SIDE, _SHOWN_SIDE))
    draw = ImageDraw.Draw(image)
    for points, colour in ((true, (230, 60, 50)), (found, (60, 230, 90))):
        # From pixel centres at integers to Pillow's corners.
        for x, y in ((points.T + 0.5) * factor).tolist():
            if np.isfinite([x, y]).all():
                draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=colour)
    return np.asarray(image)


def _tile(pictures: list[NDArray[np.uint8]], columns: int = 4) -> NDArray[np.uint8]:
    blank = np.zeros_like(pictures[0])
    filled = pictures + [blank] * (-len(pictures) % columns)
    rows = [np.concatenate(filled[i : i + columns], 1) for i in range(0, len(filled), columns)]
    return np.concatenate(rows)
