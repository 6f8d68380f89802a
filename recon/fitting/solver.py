"""Levenberg-Marquardt over a batch of independent faces, conjugate gradients, robust weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

_TINY = 1e-30

_FIRST_DAMPING = 1e-2
_LEAST_DAMPING, _MOST_DAMPING = 1e-6, 1e8
_RELAX, _TIGHTEN = 0.2, 6.0


def robust_cost(squared: Tensor, tail: float) -> Tensor:
    """c² / 2 · ln(1 + s / c²) of squared residuals s with c the tail; s / 2 for small ones."""
    # Cauchy's: of Student's t with one degree of freedom, so that glasses, hair or a landmark on
    # the wrong eye count little more the farther off they are.
    return 0.5 * tail**2 * (squared / tail**2).log1p()


def robust_weight(squared: Tensor, tail: float) -> Tensor:
    """Weight under which least squares has the same gradient: 1 / (1 + s / c²)."""
    # Iteratively reweighted least squares; the second derivative of the cost, which may be
    # negative, is left out, so that every matrix stays positive definite.
    return 1.0 / (1.0 + squared / tail**2)


def solve(
    product: Callable[[Tensor], Tensor], right_hand_side: Tensor, steps: int, preconditioner: Tensor
) -> Tensor:
    """Approximate solutions (B, D) of positive definite systems (Hestenes and Stiefel 1952).

    Stopped early it is still a way down: each direction lowers the quadratic further.

    Args:
        product: each system's matrix times its vector, (B, D) to (B, D).
        right_hand_side: right-hand sides (B, D).
        steps: at most D are of use.
        preconditioner: (D, D) positive definite, about the inverse of every system's matrix.
    """
    # From zero: the search is for a step, and no step is the best guess before the first.
    found, residual = torch.zeros_like(right_hand_side), right_hand_side
    direction = residual @ preconditioner
    energy = (residual * direction).sum(1, keepdim=True)
    # A fixed number: to stop each face by its own residual would cost a wait for the device in
    # every round, and eight steps do nearly what the whole solution does.
    for _ in range(min(steps, right_hand_side.shape[1])):
        along = product(direction)
        # The floors leave a face that is solved where it is; without them 0 / 0 would end it as
        # NaN.
        length = energy / (direction * along).sum(1, keepdim=True).clamp_min(_TINY)
        found, residual = found + length * direction, residual - length * along
        towards = residual @ preconditioner
        after = (residual * towards).sum(1, keepdim=True)
        # Fletcher and Reeves: exact for a quadratic, and needs no old residual.
        direction = towards + after / energy.clamp_min(_TINY) * direction
        energy = after
    return found


class Linearised(Protocol):
    """Least squares about one point."""

    def step(self, damping: Tensor) -> Tensor:
        """(B, D) to the minimum, with damping (B,) added to the Hessian's diagonal."""
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
    # Cloned, because faces are written into one by one.
    vector, cost = start.clone(), objective.cost(start)
    damping = torch.full_like(cost, _FIRST_DAMPING)
    # Places of the faces that are still searched for; the others leave the batch.
    going = torch.arange(len(start), device=start.device)
    for _ in range(steps):
        here, reached = vector[going], cost[going]
        trial = here + objective.linearise(here).step(damping[going])
        new = objective.cost(trial)
        # False for NaN as well: such a step is never taken.
        better = new < reached
        vector[going] = torch.where(better[:, None], trial, here)
        cost[going] = torch.where(better, new, reached)
        # Marquardt's rule: towards Gauss-Newton after a success, towards a short step down the
        # gradient after a failure.
        factor = torch.where(better, _RELAX, _TIGHTEN)
        damping[going] = (damping[going] * factor).clamp(_LEAST_DAMPING, _MOST_DAMPING)
        # Also after a rejected step: where neither direction changes the cost, it has come to rest.
        # NaN compares false, so a broken face goes on until the steps are used up, unconverged.
        still = ~((new - reached).abs() <= tolerance * reached.abs())
        if bool(still.all()):
            continue
        going, objective = going[still], objective.of_faces(still)
        if not len(going):
            break
    # What never left the batch has not converged.
    converged = torch.ones_like(cost, dtype=torch.bool)
    converged[going] = False
    return Minimum(vector, cost, converged & cost.isfinite())
