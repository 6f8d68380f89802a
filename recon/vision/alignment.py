"""Faces turned, scaled and moved onto a template: one warp for a whole batch, with gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from .five_points import template

_LEAST_POINTS = 2
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class PlanarSimilarity:
    """Turns, scales and moves points of the plane: (x, y) to (a x - b y + c, b x + a y + d).

    Attributes:
        linear: (B, 2), a and b; the scale is their length.
        offset: (B, 2), c and d.
    """

    linear: Tensor
    offset: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """Points (B, N, 2), or (N, 2) the same for all, moved: (B, N, 2)."""
        return _multiplied(self.linear[:, None], points) + self.offset[:, None]

    def inverse(self) -> PlanarSimilarity:
        """The similarity that moves them back."""
        conjugate = self.linear * self.linear.new_tensor([1.0, -1.0])
        linear = conjugate / self.linear.square().sum(1, keepdim=True)
        return PlanarSimilarity(linear, -_multiplied(linear, self.offset))

    def scale(self) -> Tensor:
        """(B,) how much longer lengths become."""
        return self.linear.square().sum(1).sqrt()


def closest_similarity(points: Tensor, target: Tensor) -> PlanarSimilarity:
    """The similarity, never a reflection, that brings points closest to their targets.

    The least-squares solution in closed form (Umeyama 1991; in the plane a similarity is a product
    of complex numbers). Points that are not finite do not count. Where fewer than two are left, or
    all lie in one place, the result is not finite.

    Args:
        points: (B, N, 2).
        target: (N, 2), where they should be.
    """
    known = points.isfinite().all(dim=2, keepdim=True)
    weights = known.to(points) / known.sum(dim=1, keepdim=True)
    from_points = points.where(known, 0.0)
    centre, target_centre = (weights * from_points).sum(1), (weights * target).sum(1)
    spread = (from_points - centre[:, None]) * known
    wanted = target - target_centre[:, None]
    conjugate = spread * spread.new_tensor([1.0, -1.0])
    product = (weights * _multiplied(conjugate, wanted)).sum(1)
    variance = (weights * spread.square()).sum((1, 2))
    usable = (known.sum((1, 2)) >= _LEAST_POINTS) & (variance > _LEAST_SPREAD)
    linear = product / variance.where(usable, torch.nan)[:, None]
    return PlanarSimilarity(linear, target_centre - _multiplied(linear, centre))


def align_faces(images: Tensor, points: Tensor, side: int) -> Tensor:
    """Faces (B, C, side, side) whose five points lie on the template.

    Differentiable in the images; the points are taken as given. Where a face is shrunk, it is
    sampled from a pyramid of halved images, between the two levels next to its scale, so that fine
    detail is averaged and not skipped; each face is treated on its own, whatever else is in the
    batch. Outside the image it is black. A face without at least two known points in different
    places becomes the whole image.

    Args:
        images: (B, C, H, W).
        points: (B, 5, 2) px, integers at pixel centres; NaN where unknown.
        side: of the result, in px.
    """
    place = closest_similarity(points.detach().double(), template(side).to(points.device))
    back = _or_whole_image(place.inverse(), images.shape, side)
    sampled_at = back.apply(_pixel_centres(side, images.device))
    return _sample_pyramid(images, sampled_at.view(-1, side, side, 2), back.scale())


def _or_whole_image(
    place: PlanarSimilarity, shape: torch.Size | tuple[int, ...], side: int
) -> PlanarSimilarity:
    """The similarity where it is finite, else the one that fits the image into the result."""
    height, width = shape[2:]
    scale = max(height, width) / side
    linear = place.linear.new_tensor([scale, 0.0])
    middle = place.offset.new_tensor([(width - 1) / 2, (height - 1) / 2])
    offset = middle - scale * (side - 1) / 2
    finite = (place.linear.isfinite() & place.offset.isfinite()).all(dim=1, keepdim=True)
    return PlanarSimilarity(place.linear.where(finite, linear), place.offset.where(finite, offset))


def _sample_pyramid(images: Tensor, places: Tensor, shrinking: Tensor) -> Tensor:
    """Images (B, C, H, W) at places (B, h, w, 2), averaged over about `shrinking` (B,) px."""
    levels = _levels(images.shape, places.shape[1])
    level = shrinking.clamp_min(1.0).log2().clamp_max(levels - 1.0)
    result = images.new_zeros(())
    halved = images
    for number in range(levels):
        share = (1.0 - (level - number).abs()).clamp_min(0.0).to(images.dtype)
        seen = _sample(halved, (places + 0.5) / 2**number - 0.5)
        result = result + share[:, None, None, None] * seen
        if number + 1 < levels:
            halved = avg_pool2d(halved, 2)
    return result


def _levels(shape: torch.Size | tuple[int, ...], side: int) -> int:
    """Levels of the pyramid: enough for a face that fills the image; from sizes alone."""
    largest = min(shape[2:]) / side
    return max(1, math.ceil(math.log2(largest)) + 2) if largest > 0 else 1


def _sample(images: Tensor, places: Tensor) -> Tensor:
    height, width = images.shape[2:]
    size = places.new_tensor([width, height])
    grid = ((places + 0.5) * 2 / size - 1).to(images.dtype)
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _pixel_centres(side: int, device: torch.device) -> Tensor:
    line = torch.arange(side, dtype=torch.float64, device=device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=2).view(-1, 2)


def _multiplied(first: Tensor, second: Tensor) -> Tensor:
    """Products of complex numbers (..., 2)."""
    real = first[..., 0] * second[..., 0] - first[..., 1] * second[..., 1]
    imaginary = first[..., 0] * second[..., 1] + first[..., 1] * second[..., 0]
    return torch.stack([real, imaginary], dim=-1)
