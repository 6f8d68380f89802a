"""The lit colours of surface points and how they change: all that is pointwise in the fit.

Arrays are component-major, (C, N, B) for N points of B faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..face.camera import rotation_matrix
from ..face.lighting import harmonics
from .sums import cross, sum_of_products, turn
from .surface_points import SurfacePoints
from .turns import turning_axes
from .unknowns import LIGHT_UNIT, POSE_UNITS, Unknowns

_LIGHT_RIDGE = 1e-3
"""Share of the mean curvature that keeps a light apart which few normals tell."""


@dataclass(frozen=True)
class ShadedPoints:
    """Points of faces in their pictures; B faces of N points.

    Attributes:
        frame: (9, N, B) place and tangents in the model's frame, see `SurfacePoints`.
        length: (N, B) of the tangents' cross product.
        normal: (3, N, B) unit, in the model's frame.
        rotation: (B, 3, 3).
        pose: (B, 7).
        turned_normal: (3, N, B) in the camera's frame.
        arm: (3, N, B) from where the model's origin is placed to the point.
        bands: (9, N, B) harmonics of the normal.
        albedo: (3, N, B).
        light: (B, 9, 3).
    """

    frame: Tensor
    length: Tensor
    normal: Tensor
    rotation: Tensor
    pose: Tensor
    turned_normal: Tensor
    arm: Tensor
    bands: Tensor
    albedo: Tensor
    light: Tensor

    @classmethod
    def of(cls, points: SurfacePoints, unknowns: Unknowns, vector: Tensor) -> ShadedPoints:
        """The points of faces given by their unknowns (B, D)."""
        frame = points.frames(vector[:, unknowns.shape])
        outward = cross(frame[3:6], frame[6:])
        length = sum_of_products(outward, outward).sqrt_().clamp_min_(1e-12)
        normal = outward / length
        pose = unknowns.pose_of(vector)
        rotation = rotation_matrix(pose[:, :3])
        turned = turn(normal, rotation)
        return cls(
            frame,
            length,
            normal,
            rotation,
            pose,
            turned,
            turn(frame[:3], rotation * pose[:, 6].view(-1, 1, 1)),
            harmonics(turned.transpose(0, 1)).transpose(0, 1).contiguous(),
            points.albedo(vector[:, unknowns.albedo]),
            (vector[:, unknowns.light] * LIGHT_UNIT).view(-1, 9, 3),
        )

    @property
    def placed(self) -> Tensor:
        """(3, N, B) normalised image coordinates."""
        return self.arm + self.pose[:, 3:6].T.unsqueeze(1)

    @cached_property
    def shading(self) -> Tensor:
        """What the light makes of white (3, N, B)."""
        return self.lit_by(self.light)

    def lit_by(self, light: Tensor) -> Tensor:
        """What any light (B, 9, 3) makes of white (3, N, B)."""
        return sum_of_products(self.bands.unsqueeze(1), light.permute(1, 2, 0).unsqueeze(2))

    @property
    def colours(self) -> Tensor:
        """Lit colours (3, N, B)."""
        return self.albedo * self.shading

    def by_frame(self, slopes: Tensor) -> Tensor:
        """Derivative (3, 9, N, B) of colour minus photograph with respect to `frame`.

        Args:
            slopes: (3, 2, N, B) of the photograph.
        """
        shown = self.rotation[:, :2] * -self.pose[:, 6].view(-1, 1, 1)
        by_place = _chained(slopes, shown)
        by_normal = _chained(self._colour_by_normal, self.rotation)
        along = sum_of_products(self.normal.unsqueeze(1), by_normal.transpose(0, 1))
        flat = (by_normal - self.normal * along.unsqueeze(1)).div_(self.length)
        first, second = self.frame[3:6], self.frame[6:]
        return torch.cat([by_place, cross(second, flat), cross(flat, first)], dim=1)

    def by_pose(self, slopes: Tensor) -> Tensor:
        """Derivative (3, 6, N, B) of colour minus photograph with respect to the pose's unknowns.

        Args:
            slopes: (3, 2, N, B) of the photograph.
        """
        flat = torch.cat([slopes, torch.zeros_like(slopes[:, :1])], dim=1)
        torque = cross(self.turned_normal, self._colour_by_normal) - cross(self.arm, flat)
        turned = _chained(torque, turning_axes(self.pose[:, :3]))
        grown = sum_of_products(self.arm[:2].unsqueeze(1), slopes.transpose(0, 1)).unsqueeze(1)
        units = slopes.new_tensor(POSE_UNITS).view(-1, 1, 1)
        return torch.cat([turned, -slopes, -grown], dim=1).mul_(units)

    @cached_property
    def _colour_by_normal(self) -> Tensor:
        """Derivative (3, 3, N, B) of the colour with respect to the turned normal.

        The harmonics are quadratic, so their slope is affine in the normal.
        """
        slopes = _harmonic_slopes().to(self.light)
        start, *along = torch.einsum("pjh,bhc->pcjb", slopes, self.light).unsqueeze(3)
        slope = sum_of_products(
            self.turned_normal[:, None, None], torch.stack([end - start for end in along])
        )
        return slope.add_(start).mul_(self.albedo.unsqueeze(1))


def _chained(outer: Tensor, inner: Tensor) -> Tensor:
    """Derivative (3, K, N, B) along K unknowns, from that (3, J, N, B) along J and (B, J, K)."""
    return sum_of_products(
        outer.transpose(0, 1).unsqueeze(2), inner.permute(1, 2, 0)[:, None, :, None]
    )


def _harmonic_slopes() -> Tensor:
    """Derivatives (4, 3, 9) of the harmonics at the origin and at the ends of the three axes.

    Of a quadratic, half a difference over a step of one either side is exact.
    """
    axes = torch.eye(3, dtype=torch.float64)
    places = torch.cat([torch.zeros(1, 3).double(), axes]).unsqueeze(1)
    return (_harmonics_at(places + axes) - _harmonics_at(places - axes)) / 2


def _harmonics_at(places: Tensor) -> Tensor:
    return harmonics(places.flatten(0, 1).unsqueeze(2)).view(*places.shape[:2], 9)


def solve_light(bands: Tensor, albedo: Tensor, colours: Tensor, weights: Tensor) -> Tensor:
    """The light (B, 9, 3) under which an albedo looks most like the photograph, in closed form.

    Args:
        bands: (9, N, B) harmonics of the normals.
        albedo: (3, N, B).
        colours: (3, N, B) of the photograph.
        weights: (N, B).
    """
    bands, albedo, colours = (rows.permute(2, 0, 1) for rows in (bands, albedo, colours))
    lit = bands.unsqueeze(1) * albedo.unsqueeze(2)
    weighed = lit * weights.T[:, None, None]
    curvature = weighed @ lit.mT
    ridge = _LIGHT_RIDGE * curvature.diagonal(dim1=2, dim2=3).mean(2) + 1e-9
    curvature = curvature + torch.diag_embed(ridge.unsqueeze(2).expand(-1, -1, lit.shape[2]))
    right = weighed @ colours.unsqueeze(3)
    light: Tensor = torch.linalg.solve(curvature, right).squeeze(3).mT
    return light
