"""Conjugate gradients for many small systems that are known by their products only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_TINY = 1e-30


def solve(product: Callable[[Tensor], Tensor], right: Tensor, steps: int, nearly: Tensor) -> Tensor:
    """Approximate solutions (B, D) of positive definite systems (Hestenes and Stiefel 1952).

    Stopped early it is still a way down: each direction lowers the quadratic further.

    Args:
        product: each system's matrix times its vector, (B, D) to (B, D).
        right: right-hand sides (B, D).
        steps: at most D are of use.
        nearly: (D, D) positive definite, about the inverse of every system's matrix.
    """
    found, residual = torch.zeros_like(right), right
    direction = residual @ nearly
    energy = (residual * direction).sum(1, keepdim=True)
    for _ in range(min(steps, right.shape[1])):
        along = product(direction)
        length = energy / (direction * along).sum(1, keepdim=True).clamp_min(_TINY)
        found, residual = found + length * direction, residual - length * along
        towards = residual @ nearly
        after = (residual * towards).sum(1, keepdim=True)
        direction = towards + after / energy.clamp_min(_TINY) * direction
        energy = after
    return found
