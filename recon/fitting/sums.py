"""Sums of products over few components, each component one contiguous array of points and faces."""

from __future__ import annotations

import torch
from torch import Tensor


def sum_of_products(left: Tensor, right: Tensor) -> Tensor:
    """Sum over the first dimension of two arrays (K, …) that broadcast beyond it.

    Added up in place: the K products, which would not fit into the cache, are never laid out.
    """
    total = left[0] * right[0]
    for one, other in zip(left[1:], right[1:], strict=True):
        total.addcmul_(one, other)
    return total


def turn(vectors: Tensor, rotation: Tensor) -> Tensor:
    """Component-major vectors (3, N, B) turned by (B, 3, 3)."""
    return sum_of_products(vectors.unsqueeze(1), rotation.permute(2, 1, 0).unsqueeze(2))


def cross(left: Tensor, right: Tensor) -> Tensor:
    """Cross product of vectors (…, 3, N, B)."""
    (ax, ay, az), (bx, by, bz) = left.unbind(-3), right.unbind(-3)
    rows = [(ay, bz, az, by), (az, bx, ax, bz), (ax, by, ay, bx)]
    return torch.stack([(a * b).addcmul_(c, d, value=-1) for a, b, c, d in rows], dim=-3)
