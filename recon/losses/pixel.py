"""Pixel term: the render against the photograph where the face is seen (METHOD eq. 8)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...errors import FacebenchError
from ..synthetic.appearance import CLASS_NAMES
from .across import Across, alone


def class_weights(weights: Mapping[str, float]) -> Tensor:
    """Weight (19,) of each mask class from a table by name; classes not named weigh 0."""
    unknown = sorted(set(weights) - set(CLASS_NAMES))
    if unknown:
        raise FacebenchError(
            f"mask weights name unknown classes {', '.join(unknown)}",
            f"the classes are {', '.join(CLASS_NAMES)}",
        )
    return torch.tensor([float(weights.get(name, 0.0)) for name in CLASS_NAMES])


def pixel_loss(
    rendered: Tensor,
    photograph: Tensor,
    weights: Tensor,
    epsilon: float = 1e-6,
    across: Across = alone,
) -> Tensor:
    """Weighted mean over the whole batch of the Euclidean colour distance per pixel.

    Args:
        rendered: (B, 3, H, W) RGB.
        photograph: (B, 3, H, W) RGB in [0, 1].
        weights: (B, H, W), mask weight times visibility of the face.
        epsilon: added under the root, so that equal colours have a gradient.
        across: sums up the batch over all workers.
    """
    distance = ((rendered - photograph).square().sum(1) + epsilon).sqrt()
    return (distance * weights).sum() / across(weights.sum()).clamp_min(1e-8)
