"""The settings of a fit, and everything that it solves for as one vector of equal units."""

from __future__ import annotations

from dataclasses import dataclass, fields

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


@dataclass(frozen=True)
class FittingSettings:
    """Deviations say how well the model explains a photograph; counts end the search.

    Coefficients are N(0, 1) by the model's own scale, so a fit is the most probable face (MAP) of
    these deviations. Pixels are those of a frame of 224, whatever the photograph's own size.

    Attributes:
        landmark_deviation: of a detected landmark from the model's, px.
        landmark_tail: px from which a landmark counts as a mistake and loses its weight.
        contour_weight: weight of the jaw line on a turned head (`losses.landmark`).
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
