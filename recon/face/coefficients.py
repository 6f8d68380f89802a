"""The regressed vector (314 numbers for the paper's models) and its named parts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..morphable.model import MorphableModel

POSE_SIZE = 7
LIGHT_SIZE = 27


@dataclass(frozen=True)
class CoefficientSizes:
    """How many coefficients each part has; from the model, never from literals."""

    identity: int
    expression: int
    albedo: int

    @classmethod
    def of(cls, model: MorphableModel) -> CoefficientSizes:
        """Sizes of a model's bases."""
        return cls(
            identity=model.identity_basis.shape[2],
            expression=model.expression_basis.shape[2],
            albedo=model.albedo_basis.shape[2],
        )

    @property
    def total(self) -> int:
        """Length of the whole vector: 314 for 100 + 80 + 100 model coefficients."""
        return sum(self.parts)

    @property
    def parts(self) -> tuple[int, int, int, int, int]:
        """Sizes in the vector's order: identity, expression, albedo, pose, light."""
        return self.identity, self.expression, self.albedo, POSE_SIZE, LIGHT_SIZE


@dataclass(frozen=True)
class Coefficients:
    """A batch of faces as coefficients (METHOD, "The 314 coefficients").

    Attributes:
        identity: (B, K) α, standard normal.
        expression: (B, K) β, standard normal.
        albedo: (B, K) δ, standard normal.
        pose: (B, 7) m: pitch, yaw, roll in radians; t_x, t_y, t_z and the scale f in
            normalised image coordinates (f per mm), see `camera.py`.
        light: (B, 9, 3) γ: spherical-harmonic weights per colour, see `lighting.py`.
    """

    identity: Tensor
    expression: Tensor
    albedo: Tensor
    pose: Tensor
    light: Tensor

    @classmethod
    def from_vector(cls, vector: Tensor, sizes: CoefficientSizes) -> Coefficients:
        """Split a (B, sizes.total) vector into its parts."""
        identity, expression, albedo, pose, light = torch.split(vector, list(sizes.parts), dim=1)
        return cls(identity, expression, albedo, pose, light.reshape(-1, 9, 3))

    def vector(self) -> Tensor:
        """The parts joined again, (B, total)."""
        parts = (self.identity, self.expression, self.albedo, self.pose, self.light.flatten(1))
        return torch.cat(parts, dim=1)
