"""The five points that faces are aligned by, and where face recognition expects them."""

from __future__ import annotations

import torch
from torch import Tensor

TEMPLATE_SIDE = 112
"""Side in px of the picture that `TEMPLATE` is given in."""

TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Both eyes, nose tip and both mouth corners, left to right as seen, in px: ArcFace's template."""

_SOURCES = ((36, 39), (42, 45), (30, 30), (48, 48), (54, 54))
"""The two iBUG points, counted from 0, in whose middle each of the five lies."""


def five_points(landmarks: Tensor) -> Tensor:
    """Five points (B, 5, 2) of 68 landmarks (68, 2, B), in their unit; NaN where unknown.

    An eye is the middle of its two corners.
    """
    first, second = ([pair[side] for pair in _SOURCES] for side in (0, 1))
    middle = (landmarks[first] + landmarks[second]) / 2
    return middle.permute(2, 0, 1)


def template(side: int) -> Tensor:
    """The five points (5, 2) in a picture of another side, float64; integers are pixel centres."""
    points = torch.tensor(TEMPLATE, dtype=torch.float64)
    return (points + 0.5) * (side / TEMPLATE_SIDE) - 0.5
