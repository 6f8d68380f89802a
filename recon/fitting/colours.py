"""Colours at the points of a surface: what photographs show there, and what a lit model gives.

Photographs give colours, gradients and what is hidden; the model lit colours and their derivatives,
all that is pointwise in the fit; those are component-major, (C, N, B) for N points of B faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, pad

from ..face.imaging import harmonics, rotation_matrix, turning_axes
from ..losses.landmarks import FRAME
from ..morphable.model import MorphableModel
from ..render.geometry import Boxes, Grid, edge_functions
from .solver import LIGHT_UNIT, POSE_UNITS, Unknowns
from .surface_points import SurfacePoints, cluster_vertices, collapse_triangles, component_rows

# Deviations after which the blur's kernel ends.
_REACH = 3.0

# Spacing of the head that hides: much less than a nose.
_COARSE_MM = 6.0

# Its picture; a pixel of it is about 2.5 mm wide.
_GRID = Grid(64, 64)

# A point is in sight when nothing is drawn so much nearer: more than a slope over such a pixel
# and what the coarse head cuts off, less than a nose before a cheek.
_DEPTH_MM = 8.0


@dataclass(frozen=True)
class BlurredPictures:
    """Blurred pictures and their gradients.

    Attributes:
        colours: (B, 3, S, S) float32.
        gradients: (B, 6, S, S) float32: of red, green, blue to the right, then upwards, in a
            normalised unit.
    """

    colours: Tensor
    gradients: Tensor

    @classmethod
    def of(cls, images: Tensor, blur: float) -> BlurredPictures:
        """From (B, 3, S, S) and the deviation of the blur in px of the 224 frame."""
        colours = blur_images(images, blur)
        # The border is repeated: beyond it the picture is constant, and so its gradient ends there.
        framed = pad(colours, (1, 1, 1, 1), mode="replicate")
        gradients = torch.empty_like(colours).repeat(1, 2, 1, 1)
        # Central differences: of the same order as the bilinear look-up, and without its jumps at
        # pixels.
        torch.sub(framed[:, :, 1:-1, 2:], framed[:, :, 1:-1, :-2], out=gradients[:, :3])
        # Row above minus row below: y points up.
        torch.sub(framed[:, :, :-2, 1:-1], framed[:, :, 2:, 1:-1], out=gradients[:, 3:])
        # Two pixels apart, and a normalised unit has S / 2 of them.
        return cls(colours, gradients.mul_(images.shape[-1] / 4))

    def colour_at(self, places: Tensor) -> Tensor:
        """Colours (3, N, B) at normalised places (≥2, N, B); the border's beyond it."""
        return look_up(self.colours, places)

    def gradient_at(self, places: Tensor) -> Tensor:
        """Derivative (3, 2, N, B) of the colours with respect to the place."""
        return look_up(self.gradients, places).view(2, 3, *places.shape[1:]).transpose(0, 1)

    def of_faces(self, chosen: Tensor) -> BlurredPictures:
        """Those that a mask (B,) chooses."""
        return BlurredPictures(self.colours[chosen], self.gradients[chosen])


def look_up(maps: Tensor, places: Tensor, mode: str = "bilinear") -> Tensor:
    """Values (C, N, B) of maps (B, C, S, S) at normalised places (≥2, N, B), y up."""
    # `grid_sample` counts rows downwards; its [-1, 1] with align_corners=False is ours.
    downwards = torch.stack([places[0], -places[1]], dim=2).transpose(0, 1)
    grid = downwards.to(maps.dtype).unsqueeze(1)
    found = grid_sample(maps, grid, mode=mode, padding_mode="border", align_corners=False)
    return found[:, :, 0].permute(1, 2, 0).to(places.dtype).contiguous()


def blur_images(images: Tensor, deviation: float) -> Tensor:
    """Gaussian blur of a deviation in px of the 224 frame, with the border's colour beyond it.

    A product with a matrix either side.
    """
    size = images.shape[-1]
    deviation = deviation * size / FRAME
    reach = max(int(_REACH * deviation + 0.5), 1)
    steps = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    # Not normalised yet: it is by its own sum below, so that a cut kernel keeps the brightness.
    kernel = torch.exp(-0.5 * (steps / deviation).square())
    pixels = torch.arange(size, device=images.device)
    sources = (pixels[:, None] + steps.long()).clamp(0, size - 1)
    blur = images.new_zeros(size, size)
    # Steps beyond the border fall on it and add up there.
    blur.scatter_add_(1, sources, (kernel / kernel.sum()).expand(size, -1).contiguous())
    # Separable; two products of matrices are faster here than convolutions with long kernels.
    return blur @ images @ blur.mT


class Visibility(nn.Module):
    """A coarse copy of a head that tells which of its points are hidden, for a batch at once.

    Args:
        model: the face model.
    """

    mean: Tensor
    basis: Tensor
    corners: Tensor

    def __init__(self, model: MorphableModel) -> None:
        super().__init__()
        chosen, owner = cluster_vertices(model.mean_shape, _COARSE_MM)
        corners = torch.from_numpy(collapse_triangles(model.triangles, owner).T.copy())
        bases = np.concatenate([model.identity_basis, model.expression_basis], axis=2)
        self.register_buffer(
            "mean", component_rows(model.mean_shape[chosen, :, None]), persistent=False
        )
        self.register_buffer("basis", component_rows(bases[chosen]), persistent=False)
        self.register_buffer("corners", corners, persistent=False)

    @torch.no_grad()
    def seen(self, points: ShadedPoints, shape: Tensor) -> Tensor:
        """Share (N, B) of the picture that each point stands for, 0 where hidden or outside.

        The points lie evenly on the surface, so one seen aslant stands for less.

        Args:
            points: of the faces.
            shape: (B, K) coefficients of the same faces, identity and expression.
        """
        placed, scale = points.placed, points.pose[:, 6]
        nearest = nearest_depth(self._place(points, shape), self.corners, _GRID)
        # Nearest, not bilinear: a mean over an outline's depths would lie between face and
        # background.
        ahead = look_up(nearest.unsqueeze(1), placed, mode="nearest")[0] - placed[2]
        inside = (placed[:2].abs() < 1.0).all(0)
        # By the cosine to the viewer.
        return points.turned_normal[2].clamp_min(0.0) * (inside & (ahead < _DEPTH_MM * scale))

    def _place(self, points: ShadedPoints, shape: Tensor) -> Tensor:
        """Normalised places (3, V, B) of the coarse head."""
        flat = torch.addmm(self.mean, self.basis, shape.T)
        scaled = points.rotation * points.pose[:, 6].view(-1, 1, 1)
        return turn(flat.view(3, -1, len(shape)), scaled) + points.pose[:, 3:6].T.unsqueeze(1)


def nearest_depth(placed: Tensor, corners: Tensor, grid: Grid) -> Tensor:
    """Depth (B, H, W) of what is nearest to the viewer at each pixel; -inf where nothing is.

    Triangles count from either side.

    Args:
        placed: (3, V, B) normalised image coordinates.
        corners: (3, F) vertices of the triangles.
        grid: the pictures.
    """
    batch = placed.shape[2]
    x, y, depth = (rows[corners].flatten(1) for rows in placed)
    x, y = grid.columns(x), grid.ups(y)
    # Triangles of all faces in one list, face by face innermost; no pixel of one can meet
    # another's.
    boxes = Boxes.around(x, y, 0.0, grid)
    filled = boxes.filled().nonzero()[:, 0]
    owner, column, up = boxes.select(filled).pixels()
    triangle = filled.index_select(0, owner)
    parts = edge_functions(x.index_select(1, triangle), y.index_select(1, triangle), column, up)
    area = parts.sum(0)
    # From either side: `collapse_triangles` keeps no order of the corners.
    hit = ((parts * area.sign()).amin(0) >= 0) & (area != 0)
    there = (depth.index_select(1, triangle) * parts).sum(0) / area
    # Corners were flattened with the faces innermost, so the remainder is the face.
    pixel = triangle % batch * grid.n_pixels + grid.pixel(column, up)
    nothing = depth.new_full((batch * grid.n_pixels,), -torch.inf)
    nearest: Tensor = nothing.scatter_reduce(0, pixel[hit], there[hit], "amax")
    return nearest.view(batch, grid.height, grid.width)


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


class ShadedPoints:
    """Points of faces in their pictures; B faces of N points.

    Args:
        points: of the surface.
        unknowns: layout of the vector.
        vector: (B, D) unknowns of the faces.

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

    def __init__(self, points: SurfacePoints, unknowns: Unknowns, vector: Tensor) -> None:
        self.frame = points.frames(vector[:, unknowns.shape])
        outward = cross(self.frame[3:6], self.frame[6:])
        # The tangents are no unit vectors: the normal is normalised per point, and its length
        # enters the derivative.
        self.length = sum_of_products(outward, outward).sqrt_().clamp_min_(1e-12)
        self.normal = outward / self.length
        self.pose = unknowns.pose_of(vector)
        self.rotation = rotation_matrix(self.pose[:, :3])
        self.turned_normal = turn(self.normal, self.rotation)
        self.arm = turn(self.frame[:3], self.rotation * self.pose[:, 6].view(-1, 1, 1))
        # Harmonics of the turned normal: the light stays with the camera (eq. 6).
        self.bands = harmonics(self.turned_normal.transpose(0, 1)).transpose(0, 1).contiguous()
        self.albedo = points.albedo(vector[:, unknowns.albedo])
        self.light = (vector[:, unknowns.light] * LIGHT_UNIT).view(-1, 9, 3)

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
