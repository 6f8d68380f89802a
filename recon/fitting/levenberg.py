"""Gauss-Newton with Levenberg-Marquardt damping, over many faces that never hear of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

_FIRST_DAMPING = 1e-2
_LEAST_DAMPING, _MOST_DAMPING = 1e-6, 1e8
_RELAX, _TIGHTEN = 0.2, 6.0


class Linearised(Protocol):
    """Least squares about one point."""

    def step(self, damping: Tensor) -> Tensor:
        """(B, D) to the minimum, with damping (B,) added to the curvature's diagonal."""
        ...


class Objective(Protocol):
    """Sums of squares, one a face."""

    def cost(self, vector: Tensor) -> Tensor:
        """(B,) at (B, D)."""
        ...

    def linearise(self, vector: Tensor) -> Linearised:
        """About (B, D)."""
        ...


@dataclass(frozen=True)
class Minimum:
    """Where the search ended.

    Attributes:
        vector: (B, D), at worst the start.
        cost: (B,).
        converged: (B,) bool, the cost no longer changed.
    """

    vector: Tensor
    cost: Tensor
    converged: Tensor


def minimise(objective: Objective, start: Tensor, steps: int, tolerance: float) -> Minimum:
    """Descend from (B, D) by at most so many steps.

    A step that raises the cost of a face, or makes it not finite, is not taken by that face, which
    tries a shorter one next; a face that has converged stays as it is. So the result of a face does
    not depend on the others.

    Args:
        objective: of the batch.
        start: where the search begins.
        steps: at most.
        tolerance: relative change of the cost in a step at which a face has converged.
    """
    vector, cost = start, objective.cost(start)
    damping = torch.full_like(cost, _FIRST_DAMPING)
    done = torch.zeros_like(cost, dtype=torch.bool)
    for _ in range(steps):
        trial = vector + objective.linearise(vector).step(damping)
        new = objective.cost(trial)
        better = (new < cost) & ~done
        flat = (new - cost).abs() <= tolerance * cost.abs()
        vector = torch.where(better[:, None], trial, vector)
        cost = torch.where(better, new, cost)
        damping = (damping * torch.where(better, _RELAX, _TIGHTEN)).clamp(
            _LEAST_DAMPING, _MOST_DAMPING
        )
        done = done | flat
        if bool(done.all()):
            break
    return Minimum(vector, cost, done & cost.isfinite())
