"""Everything that is searched for, as one vector in units that matter equally."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..face.coefficients import LIGHT_SIZE, Coefficients, CoefficientSizes

POSE_UNKNOWNS = 6
"""Pitch, yaw, roll, t_x, t_y and the logarithm of f; t_z is not seen."""

POSE_UNITS = (0.05, 0.05, 0.05, 0.03, 0.03, 0.05)
"""One unit of each moves a landmark by a few pixels, as does one deviation of a shape mode."""

LIGHT_UNIT = 0.1


@dataclass(frozen=True)
class Unknowns:
    """Order of the vector (B, D): identity, expression, pose, albedo, light.

    Attributes:
        sizes: of the model.
    """

    sizes: CoefficientSizes

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
        return self.sizes.total - 1

    def pack(self, faces: Coefficients) -> Tensor:
        """The vector (B, D) float64 of faces."""
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
        depth = torch.zeros_like(pose[:, :1])
        return torch.cat([pose[:, :5], depth, pose[:, 5:].exp()], dim=1)
