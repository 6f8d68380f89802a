"""The lit colours of surface points and how they change: all that is pointwise in the fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..camera import project, rotate, rotation_matrix
from ..lighting import harmonics
from .surface_points import SurfacePoints
from .turns import rotation_slopes
from .unknowns import LIGHT_UNIT, POSE_UNITS, Unknowns

_LIGHT_RIDGE = 1e-3
"""Share of the mean curvature that keeps a light apart which few normals tell."""


@dataclass(frozen=True)
class ShadedPoints:
    """Points of faces in their pictures; B faces of N points.

    Attributes:
        frame: (N, 9, B) place and tangents in the model's frame, see `SurfacePoints`.
        length: (N, 1, B) of the tangents' cross product.
        normal: (N, 3, B) unit, in the model's frame.
        rotation: (B, 3, 3).
        pose: (B, 7).
        turned_normal: (N, 3, B) in the camera's frame.
        placed: (N, 3, B) normalised image coordinates.
        bands: (N, 9, B) harmonics of the normal.
        albedo: (N, 3, B).
        light: (B, 9, 3).
    """

    frame: Tensor
    length: Tensor
    normal: Tensor
    rotation: Tensor
    pose: Tensor
    turned_normal: Tensor
    placed: Tensor
    bands: Tensor
    albedo: Tensor
    light: Tensor

    @classmethod
    def of(cls, points: SurfacePoints, unknowns: Unknowns, vector: Tensor) -> ShadedPoints:
        """The points of faces given by their unknowns (B, D)."""
        frame = points.frames(vector[:, unknowns.shape])
        outward = cross(frame[:, 3:6], frame[:, 6:])
        length = outward.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
        normal = outward / length
        pose = unknowns.pose_of(vector)
        rotation = rotation_matrix(pose[:, :3])
        turned = rotate(normal, rotation)
        placed = project(rotate(frame[:, :3], rotation), pose)
        albedo = points.albedo(vector[:, unknowns.albedo])
        light = (vector[:, unknowns.light] * LIGHT_UNIT).view(-1, 9, 3)
        return cls(
            frame,
            length,
            normal,
            rotation,
            pose,
            turned,
            placed,
            harmonics(turned),
            albedo,
            light,
        )

    @cached_property
    def shading(self) -> Tensor:
        """What the light makes of white (N, 3, B)."""
        return torch.einsum("njb,bjc->ncb", self.bands, self.light)

    @property
    def colours(self) -> Tensor:
        """Lit colours (N, 3, B)."""
        return self.albedo * self.shading

    def by_frame(self, slopes: Tensor) -> Tensor:
        """Derivative (N, 3, 9, B) of colour minus photograph with respect to `frame`.

        Args:
            slopes: (N, 3, 2, B) of the photograph.
        """
        shown = self.rotation[:, :2].permute(1, 2, 0) * self.pose[:, 6]
        by_place = -(slopes.unsqueeze(3) * shown).sum(2)
        across = self.rotation.permute(1, 2, 0)
        by_normal = (self._colour_by_normal().unsqueeze(3) * across).sum(2)
        normal = self.normal.unsqueeze(1)
        flat = by_normal - normal * (normal * by_normal).sum(2, keepdim=True)
        flat = flat / self.length.unsqueeze(1)
        first, second = (self.frame[:, rows].unsqueeze(1) for rows in (slice(3, 6), slice(6, 9)))
        return torch.cat([by_place, cross(second, flat), cross(flat, first)], dim=2)

    def by_pose(self, slopes: Tensor) -> Tensor:
        """Derivative (N, 3, 6, B) of colour minus photograph with respect to the pose's unknowns.

        Args:
            slopes: (N, 3, 2, B) of the photograph.
        """
        by_normal, scale = self._colour_by_normal(), self.pose[:, 6]
        columns = []
        for slope in rotation_slopes(self.pose[:, :3]):
            turned = rotate(self.normal, slope).unsqueeze(1)
            moved = (rotate(self.frame[:, :3], slope)[:, :2] * scale).unsqueeze(1)
            columns.append((by_normal * turned).sum(2) - (slopes * moved).sum(2))
        columns += [-slopes[:, :, 0], -slopes[:, :, 1]]
        grown = (self.placed[:, :2] - self.pose[:, 3:5].T).unsqueeze(1)
        columns.append(-(slopes * grown).sum(2))
        units = slopes.new_tensor(POSE_UNITS).view(-1, 1)
        return torch.stack(columns, dim=2) * units

    def _colour_by_normal(self) -> Tensor:
        """Derivative (N, 3, 3, B) of the colour with respect to the turned normal.

        The harmonics are quadratic, so half a difference over a step of one either side is exact.
        """
        axes = torch.eye(3, dtype=self.normal.dtype, device=self.normal.device).unsqueeze(2)
        slopes = [
            (harmonics(self.turned_normal + axis) - harmonics(self.turned_normal - axis)) / 2
            for axis in axes
        ]
        shading = [torch.einsum("njb,bjc->ncb", slope, self.light) for slope in slopes]
        return torch.stack(shading, dim=2) * self.albedo.unsqueeze(2)


def cross(left: Tensor, right: Tensor) -> Tensor:
    """Cross product along the last dimension but one."""
    (ax, ay, az), (bx, by, bz) = left.unbind(-2), right.unbind(-2)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim=-2)


def solve_light(bands: Tensor, albedo: Tensor, colours: Tensor, weights: Tensor) -> Tensor:
    """The light (B, 9, 3) under which an albedo looks most like the photograph, in closed form.

    Args:
        bands: (N, 9, B) harmonics of the normals.
        albedo: (N, 3, B).
        colours: (N, 3, B) of the photograph.
        weights: (N, B).
    """
    lit = bands.permute(2, 1, 0).unsqueeze(1) * albedo.permute(2, 1, 0).unsqueeze(2)
    weighed = lit * weights.T[:, None, None]
    curvature = weighed @ lit.mT
    ridge = _LIGHT_RIDGE * curvature.diagonal(dim1=2, dim2=3).mean(2) + 1e-9
    curvature = curvature + torch.diag_embed(ridge.unsqueeze(2).expand(-1, -1, lit.shape[2]))
    right = weighed @ colours.permute(2, 1, 0).unsqueeze(3)
    light: Tensor = torch.linalg.solve(curvature, right).squeeze(3).mT
    return light
