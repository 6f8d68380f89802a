"""Terms of the picture: visible pixels, and recognition features (METHOD eq. 8, 10 to 12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ...errors import FacebenchError
from ..synthetic.appearance import CLASS_NAMES
from .prior import AllReduce, single_process


@dataclass(frozen=True)
class TensorBatch:
    """A batch whose fields are tensors, or batches of such."""

    def to(self, device: torch.device, non_blocking: bool = True) -> Self:
        """The same on a device."""
        parts = {
            name: part.to(device, non_blocking=non_blocking) for name, part in vars(self).items()
        }
        return replace(self, **parts)


@dataclass(frozen=True)
class Supervision(TensorBatch):
    """A batch of photographs with their weak labels.

    Attributes:
        images: (B, 3, S, S) float32 RGB in [0, 1].
        landmarks: (68, 2, B) float32, px of the image, integers at pixel centres; NaN: unknown.
        masks: (B, S, S) int64, face-parsing classes in BiSeNet order.
    """

    images: Tensor
    landmarks: Tensor
    masks: Tensor


def class_weights(weights: Mapping[str, float]) -> Tensor:
    """Weight (19,) of each mask class from a table by name; classes not named weigh 0."""
    # A class misspelt in a recipe would weigh 0 in silence.
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
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Weighted mean over the whole batch of the Euclidean colour distance per pixel.

    Args:
        rendered: (B, 3, H, W) RGB.
        photograph: (B, 3, H, W) RGB in [0, 1].
        weights: (B, H, W), mask weight times visibility of the face.
        epsilon: added under the root, so that equal colours have a gradient.
        all_reduce: sums up the batch over all workers.
    """
    # L2 over colours, L1 over pixels (METHOD eq. 8): single wrong pixels do not rule.
    distance = ((rendered - photograph).square().sum(1) + epsilon).sqrt()
    # Over the whole batch (METHOD, settled): each face counts by the pixels that it shows.
    return (distance * weights).sum() / all_reduce(weights.sum()).clamp_min(1e-8)


class IdentityFeatures(Protocol):
    """A frozen face-recognition network together with its alignment to the template."""

    def __call__(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Features (B, D) of RGB images (B, 3, H, W) in [0, 1] with landmarks (68, 2, B) in px."""
        ...


def identity_loss(
    photograph: Tensor,
    render: Tensor,
    turned: Tensor,
    weights: Tensor | None = None,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Mean of 1 - cos over the three pairs, averaged over the batch.

    The paper prints the product of the features as the loss; minimising that would drive identities
    apart, so 1 - cos is taken.

    Args:
        photograph: features (B, D) of the photograph I.
        render: features (B, D) of the render I'.
        turned: features (B, D) of the render I'' under another pose and expression.
        weights: (B,) of each photograph in the average; None: all 1.
        all_reduce: sums up the batch over all workers.
    """
    pairs = ((photograph, render), (photograph, turned), (render, turned))
    cosines = [cosine_similarity(first, second, dim=1) for first, second in pairs]
    each = 1.0 - sum(cosines, start=cosines[0].new_zeros(())) / len(pairs)
    shares = each.new_ones(len(each)) if weights is None else weights
    return (each * shares).sum() / all_reduce(shares.sum()).clamp_min(1e-8)
