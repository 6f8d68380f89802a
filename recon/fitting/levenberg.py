"""Gauss-Newton with Levenberg-Marquardt damping, over many faces that never hear of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

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

    def of_faces(self, chosen: Tensor) -> Self:
        """That of the faces which a mask (B,) chooses."""
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
    tries a shorter one next; a face that has converged stays as it is and costs no more time. So
    the result of a face does not depend on the others.

    Args:
        objective: of the batch.
        start: where the search begins.
        steps: at most.
        tolerance: relative change of the cost in a step at which a face has converged.
    """
    vector, cost = start.clone(), objective.cost(start)
    damping = torch.full_like(cost, _FIRST_DAMPING)
    going = torch.arange(len(start), device=start.device)
    for _ in range(steps):
        here, reached = vector[going], cost[going]
        trial = here + objective.linearise(here).step(damping[going])
        new = objective.cost(trial)
        better = new < reached
        vector[going] = torch.where(better[:, None], trial, here)
        cost[going] = torch.where(better, new, reached)
        factor = torch.where(better, _RELAX, _TIGHTEN)
        damping[going] = (damping[going] * factor).clamp(_LEAST_DAMPING, _MOST_DAMPING)
        still = ~((new - reached).abs() <= tolerance * reached.abs())
        if bool(still.all()):
            continue
        going, objective = going[still], objective.of_faces(still)
        if not len(going):
            break
    converged = torch.ones_like(cost, dtype=torch.bool)
    converged[going] = False
    return Minimum(vector, cost, converged & cost.isfinite())
