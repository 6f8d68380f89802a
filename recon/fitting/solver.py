"""A fit's settings, its unknowns as one vector of equal units, and the solver for them.

Levenberg-Marquardt over a batch of independent faces, conjugate gradients, robust weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol, Self

import torch
from torch import Tensor

from ...errors import FacebenchError
from ..face.coefficients import LIGHT_SIZE, Coefficients, CoefficientSizes

POSE_UNKNOWNS = 6
"""Pitch, yaw, roll, t_x, t_y and the logarithm of f; t_z is not seen."""

POSE_UNITS = (0.05, 0.05, 0.05, 0.03, 0.03, 0.05)
"""One unit of each moves a landmark by a few pixels, as does one deviation of a shape mode."""

# One unit changes a colour by a few hundredths: harmonics are about 0.3 to 1.
LIGHT_UNIT = 0.1

_TINY = 1e-30

_FIRST_DAMPING = 1e-2
_LEAST_DAMPING, _MOST_DAMPING = 1e-6, 1e8
_RELAX, _TIGHTEN = 0.2, 6.0


@dataclass(frozen=True)
class FittingSettings:
    """Deviations say how well the model explains a photograph; counts end the search.

    Coefficients are N(0, 1) by the model's own scale, so a fit is the most probable face (MAP) of
    these deviations. Pixels are those of a frame of 224, whatever the photograph's own size.

    Attributes:
        landmark_deviation: of a detected landmark from the model's, px.
        landmark_tail: px from which a landmark counts as a mistake and loses its weight.
        contour_weight: weight of the jaw line on a turned head (`losses.landmarks`).
        contour_from, contour_to: degrees of yaw between which it falls to that weight.
        landmark_steps: Gauss-Newton steps on the landmarks, at most, in each of two rounds.
        pixel_deviation: of a colour from the model's, RGB in [0, 1].
        pixel_tail: colour distance from which a point counts as hidden and loses its weight.
        pixel_observations: how many independent observations the colours of a face are worth;
            neighbours err alike, so they are fewer than its pixels.
        pixel_spacing: mm between the points of the surface whose colours are compared.
        light_blur: deviation in px of the photograph's blur when the first light is found.
        pixel_blurs: one round of the search each: deviation of the photograph's blur, px. With
            none the shape stays as the landmarks gave it.
        pixel_steps: Gauss-Newton steps on the pixels, at most, in each round.
        solver_steps: conjugate gradient steps within a Gauss-Newton step.
    """

    landmark_deviation: float = 4.0
    landmark_tail: float = 12.0
    contour_weight: float = 0.2
    contour_from: float = 20.0
    contour_to: float = 50.0
    landmark_steps: int = 12
    pixel_deviation: float = 0.03
    pixel_tail: float = 0.07
    pixel_observations: float = 100.0
    pixel_spacing: float = 7.0
    light_blur: float = 3.0
    pixel_blurs: tuple[float, ...] = (1.5,)
    pixel_steps: int = 12
    solver_steps: int = 8

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            lowest = min(value, default=1.0) if isinstance(value, tuple) else value
            if lowest <= 0:
                raise FacebenchError(f"fitting: {item.name} is {value}", "give more than 0")
        if self.contour_from >= self.contour_to:
            raise FacebenchError(
                f"fitting: contour_from {self.contour_from} is not below contour_to",
                "the jaw line loses weight between the two angles",
            )


class Unknowns:
    """Order of the vector (B, D): identity, expression, pose, albedo, light.

    Args:
        sizes: of the model.
    """

    def __init__(self, sizes: CoefficientSizes) -> None:
        self.sizes = sizes

    @property
    def shape(self) -> slice:
        """Identity and expression."""
        return slice(0, self.sizes.identity + self.sizes.expression)

    @property
    def geometry(self) -> slice:
        """Shape and pose: all that landmarks depend on."""
        return slice(0, self.shape.stop + POSE_UNKNOWNS)

    @property
    def pose(self) -> slice:
        """Six numbers."""
        return slice(self.shape.stop, self.geometry.stop)

    @property
    def albedo(self) -> slice:
        """Albedo coefficients."""
        return slice(self.geometry.stop, self.geometry.stop + self.sizes.albedo)

    @property
    def light(self) -> slice:
        """27 numbers."""
        return slice(self.albedo.stop, self.albedo.stop + LIGHT_SIZE)

    @property
    def size(self) -> int:
        """D: one less than the coefficients, for t_z is not searched for."""
        # t_z is the one that weak perspective cannot see.
        return self.sizes.total - 1

    def pack(self, faces: Coefficients) -> Tensor:
        """The vector (B, D) float64 of faces."""
        # The logarithm of f: positive whatever the step, and a step is a share.
        pose = torch.cat([faces.pose[:, :5], faces.pose[:, 6:].log()], dim=1)
        parts = (faces.identity, faces.expression, pose / pose.new_tensor(POSE_UNITS))
        light = faces.light.flatten(1) / LIGHT_UNIT
        return torch.cat([*parts, faces.albedo, light], dim=1).double()

    def unpack(self, vector: Tensor) -> Coefficients:
        """The faces of a vector (B, D), t_z = 0."""
        sizes = [self.sizes.identity, self.sizes.expression]
        identity, expression = torch.split(vector[:, self.shape], sizes, dim=1)
        pose = self.pose_of(vector)
        light = (vector[:, self.light] * LIGHT_UNIT).view(-1, 9, 3)
        return Coefficients(identity, expression, vector[:, self.albedo], pose, light)

    def pose_of(self, vector: Tensor) -> Tensor:
        """Pose (B, 7) of a vector."""
        pose = vector[:, self.pose] * vector.new_tensor(POSE_UNITS)
        # t_z = 0, as everywhere that a pose is found in a photograph.
        depth = torch.zeros_like(pose[:, :1])
        return torch.cat([pose[:, :5], depth, pose[:, 5:].exp()], dim=1)


class Objective(Protocol):
    """Sums of squares, one a face."""

    def cost(self, vector: Tensor) -> Tensor:
        """(B,) at (B, D)."""
        ...

    def step(self, vector: Tensor, damping: Tensor) -> Tensor:
        """From (B, D) to the minimum of its linearisation, damping (B,) on the Hessian's diagonal.

        Not finite for a face whose system cannot be solved.
        """
        ...

    def of_faces(self, chosen: Tensor) -> Self:
        """That of the faces which a mask (B,) chooses."""
        ...


def minimise(
    objective: Objective, start: Tensor, steps: int, tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Descend from (B, D) by at most so many steps.

    Where the search ended: vectors (B, D), at worst the start, costs (B,), and whether the cost no
    longer changed, (B,) bool.

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
        trial = here + objective.step(here, damping[going])
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
    return vector, cost, converged & cost.isfinite()


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
