"""Identity term: recognition features of photograph and renders (METHOD eq. 10 to 12)."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn.functional import cosine_similarity

from .across import Across, alone


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
    across: Across = alone,
) -> Tensor:
    """Mean of 1 - cos over the three pairs, averaged over the batch.

    The paper prints the product of the features as the loss; minimising that would drive identities
    apart, so 1 - cos is taken.

    Args:
        photograph: features (B, D) of the photograph I.
        render: features (B, D) of the render I'.
        turned: features (B, D) of the render I'' under another pose and expression.
        weights: (B,) of each photograph in the average; None: all 1.
        across: sums up the batch over all workers.
    """
    pairs = ((photograph, render), (photograph, turned), (render, turned))
    cosines = [cosine_similarity(first, second, dim=1) for first, second in pairs]
    each = 1.0 - sum(cosines, start=cosines[0].new_zeros(())) / len(pairs)
    shares = each.new_ones(len(each)) if weights is None else weights
    return (each * shares).sum() / across(shares.sum()).clamp_min(1e-8)
