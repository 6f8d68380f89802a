"""Landmark term: the Wing loss (Feng et al. 2018) on 68 projected points (METHOD eq. 9)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .across import Across, alone

FRAME = 224.0
"""Side in pixels of the frame in which distances count, whatever the image's own size."""

CONTOUR = 17
"""The first 17 iBUG points follow the jaw line."""


def wing(distance: Tensor, width: float = 10.0, epsilon: float = 2.0) -> Tensor:
    """w ln(1 + |Δ| / ε) below w, |Δ| - c from there on, elementwise; continuous at w."""
    size = distance.abs()
    offset = width - width * math.log1p(width / epsilon)
    return torch.where(size < width, width * torch.log1p(size / epsilon), size - offset)


def contour_weights(yaw: Tensor, weight: float, start: float, end: float) -> Tensor:
    """Weight (68, B) of each landmark: jaw-line points count less on a turned head.

    Fixed jaw-line vertices are not the visible contour at large yaw, so their weight falls linearly
    from 1 at `start` to `weight` at `end`.

    Args:
        yaw: (B,) radians.
        weight: weight of the jaw line at and beyond `end`.
        start: |yaw| in radians up to which all points count fully.
        end: |yaw| in radians from which the jaw line has `weight`.
    """
    turned = ((yaw.abs() - start) / (end - start)).clamp(0.0, 1.0)
    weights = torch.ones(68, yaw.shape[0], dtype=yaw.dtype, device=yaw.device)
    weights[:CONTOUR] = 1.0 - (1.0 - weight) * turned
    return weights


def landmark_loss(
    projected: Tensor,
    detected: Tensor,
    weights: Tensor,
    image_size: int,
    width: float = 10.0,
    epsilon: float = 2.0,
    across: Across = alone,
) -> Tensor:
    """Weighted mean of the Wing loss over points and coordinates, in pixels of the 224 frame.

    Args:
        projected: (68, 2, B) px of the image.
        detected: (68, 2, B) px of the image.
        weights: (68, B); a point the model or the photograph lacks has weight 0.
        image_size: side of the square image in px.
        width: w of the Wing loss, px of the 224 frame.
        epsilon: ε of the Wing loss, px of the 224 frame.
        across: sums up the batch over all workers.
    """
    distance = (projected - detected) * (FRAME / image_size)
    each = wing(distance, width, epsilon).mean(1)
    return (each * weights).sum() / across(weights.sum()).clamp_min(1e-8)
