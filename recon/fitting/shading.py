"""The lit colours of surface points and their derivatives: all that is pointwise in the fit.

Arrays are component-major, (C, N, B) for N points of B faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..face.camera import rotation_matrix, turning_axes
from ..face.lighting import harmonics
from .surface_points import SurfacePoints
from .unknowns import LIGHT_UNIT, POSE_UNITS, Unknowns


def sum_of_products(left: Tensor, right: Tensor) -> Tensor:
    """Sum over the first dimension of two arrays (K, …) that broadcast beyond it.

    Added up in place: the K products, which would not fit into the cache, are never laid out.
    """
    # In place, term by term: each term is one contiguous array of all points and faces.
    total = left[0] * right[0]
    for one, other in zip(left[1:], right[1:], strict=True):
        total.addcmul_(one, other)
    return total


def turn(vectors: Tensor, rotation: Tensor) -> Tensor:
    """Component-major vectors (3, N, B) turned by (B, 3, 3)."""
    return sum_of_products(vectors.unsqueeze(1), rotation.permute(2, 1, 0).unsqueeze(2))


def cross(left: Tensor, right: Tensor) -> Tensor:
    """Cross product of vectors (…, 3, N, B)."""
    (ax, ay, az), (bx, by, bz) = left.unbind(-3), right.unbind(-3)
    rows = [(ay, bz, az, by), (az, bx, ax, bz), (ax, by, ay, bx)]
    return torch.stack([(a * b).addcmul_(c, d, value=-1) for a, b, c, d in rows], dim=-3)


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
        # The tangents are no unit vectors: the normal is normalised per point, and its length
        # enters the derivative.
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
            # Harmonics of the turned normal: the light stays with the camera (eq. 6).
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
        return self.shading_under(self.light)

    def shading_under(self, light: Tensor) -> Tensor:
        """What any light (B, 9, 3) makes of white (3, N, B)."""
        return sum_of_products(self.bands.unsqueeze(1), light.permute(1, 2, 0).unsqueeze(2))

    @property
    def colours(self) -> Tensor:
        """Lit colours (3, N, B)."""
        return self.albedo * self.shading

    def by_frame(self, gradients: Tensor) -> Tensor:
        """Derivative (3, 9, N, B) of colour minus photograph with respect to `frame`.

        Args:
            gradients: (3, 2, N, B) of the photograph.
        """
        # Minus: the residual is colour minus photograph, and the photograph moves under the point.
        shown = self.rotation[:, :2] * -self.pose[:, 6].view(-1, 1, 1)
        by_place = _chain(gradients, shown)
        by_normal = _chain(self._colour_by_normal, self.rotation)
        # A unit normal changes only at a right angle to itself: the component along it is taken
        # out, and the rest divided by the length.
        along = sum_of_products(self.normal.unsqueeze(1), by_normal.transpose(0, 1))
        flat = (by_normal - self.normal * along.unsqueeze(1)).div_(self.length)
        first, second = self.frame[3:6], self.frame[6:]
        # n = first × second: the derivative along first is second × flat, along second flat ×
        # first.
        return torch.cat([by_place, cross(second, flat), cross(flat, first)], dim=1)

    def by_pose(self, gradients: Tensor) -> Tensor:
        """Derivative (3, 6, N, B) of colour minus photograph with respect to the pose's unknowns.

        Args:
            gradients: (3, 2, N, B) of the photograph.
        """
        # The photograph has no gradient along depth.
        flat = torch.cat([gradients, torch.zeros_like(gradients[:, :1])], dim=1)
        # A small rotation about an axis moves v by axis × v, so a gradient g counts v × g along the
        # axis: that of the colour at the normal, less that of the photograph at the place.
        torque = cross(self.turned_normal, self._colour_by_normal) - cross(self.arm, flat)
        turned = _chain(torque, turning_axes(self.pose[:, :3]))
        # Along ln f the point moves by its arm, away from where the model's origin is seen.
        grown = sum_of_products(self.arm[:2].unsqueeze(1), gradients.transpose(0, 1)).unsqueeze(1)
        units = gradients.new_tensor(POSE_UNITS).view(-1, 1, 1)
        return torch.cat([turned, -gradients, -grown], dim=1).mul_(units)

    @cached_property
    def _colour_by_normal(self) -> Tensor:
        """Derivative (3, 3, N, B) of the colour with respect to the turned normal.

        The harmonics are quadratic, so their gradient is affine in the normal.
        """
        # Gradients of all nine at four points; an affine function is known by them.
        gradients = _harmonic_gradients().to(self.light)
        # First contracted with the light, once per face, then with the normals, per point.
        start, *along = torch.einsum("pjh,bhc->pcjb", gradients, self.light).unsqueeze(3)
        gradient = sum_of_products(
            self.turned_normal[:, None, None], torch.stack([end - start for end in along])
        )
        return gradient.add_(start).mul_(self.albedo.unsqueeze(1))


def _chain(outer: Tensor, inner: Tensor) -> Tensor:
    """Derivative (3, K, N, B) along K unknowns, from that (3, J, N, B) along J and (B, J, K)."""
    return sum_of_products(
        outer.transpose(0, 1).unsqueeze(2), inner.permute(1, 2, 0)[:, None, :, None]
    )


def _harmonic_gradients() -> Tensor:
    """Derivatives (4, 3, 9) of the harmonics at the origin and at the ends of the three axes.

    Of a quadratic, half a difference over a step of one either side is exact.
    """
    axes = torch.eye(3, dtype=torch.float64)
    places = torch.cat([torch.zeros(1, 3).double(), axes]).unsqueeze(1)
    return (_harmonics_at(places + axes) - _harmonics_at(places - axes)) / 2


def _harmonics_at(places: Tensor) -> Tensor:
    return harmonics(places.flatten(0, 1).unsqueeze(2)).view(*places.shape[:2], 9)
