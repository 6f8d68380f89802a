"""How a pixel lies to a triangle: barycentric coordinates and distance, with their derivatives.

Triangles come as `Sides`, one row a side; side k lies opposite vertex k and runs from vertex k + 1
to vertex k + 2, so rows of sides and rows of vertices belong together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

SIDE_ORDER = (1, 2, 0, 1)
"""Rows of corners such that rows 0-2 are the sides' starts and rows 1-3 their ends."""


class Clipping(Enum):
    """How barycentric coordinates outside a triangle are drawn back before they are renormalised.

    `ZERO` cuts at 0 only (pytorch3d), `UNIT` cuts at 0 and 1 (SoftRas).
    """

    ZERO = "zero"
    UNIT = "unit"

    def apply(self, barycentric: Tensor) -> Tensor:
        """Coordinates in the allowed range, not yet renormalised."""
        return barycentric.clamp(0.0, 1.0 if self is Clipping.UNIT else None)

    def passes(self, barycentric: Tensor) -> Tensor:
        """Where `apply` lets gradients through."""
        if self is Clipping.UNIT:
            return (barycentric >= 0) & (barycentric <= 1)
        return barycentric >= 0


@dataclass(frozen=True)
class Sides:
    """The sides of M triangles, each seen from a point of its own.

    Attributes:
        start_x, start_y, end_x, end_y: (3, M) relative to the point, in pixels.
    """

    start_x: Tensor
    start_y: Tensor
    end_x: Tensor
    end_y: Tensor

    @classmethod
    def seen_from(cls, x: Tensor, y: Tensor, column: Tensor, up: Tensor) -> Sides:
        """Sides from corners x, y (4, M) in `SIDE_ORDER` and points (M,)."""
        x, y = x - column, y - up
        return cls(x[:3], y[:3], x[1:], y[1:])

    def weights(self) -> Tensor:
        """Twice the signed areas (3, M) between the point and each side."""
        return self.start_x * self.end_y - self.end_x * self.start_y


@dataclass(frozen=True)
class Nearest:
    """The nearest point of each side.

    Attributes:
        share: (3, M) in [0, 1], how far it lies along the side.
        x, y: (3, M), from the pixel to it.
        squared_distance: (3, M).
    """

    share: Tensor
    x: Tensor
    y: Tensor
    squared_distance: Tensor

    @classmethod
    def of(cls, sides: Sides) -> Nearest:
        """Nearest points of sides whose length is not zero."""
        along_x, along_y = sides.end_x - sides.start_x, sides.end_y - sides.start_y
        length = torch.addcmul(along_x * along_x, along_y, along_y)
        ahead = torch.addcmul(sides.start_x * along_x, sides.start_y, along_y)
        share = ahead.div_(length).neg_().clamp_(0.0, 1.0)
        x = torch.addcmul(sides.start_x, share, along_x)
        y = torch.addcmul(sides.start_y, share, along_y)
        return cls(share, x, y, torch.addcmul(x * x, y, y))


def lowest(rows: Tensor) -> Tensor:
    """Element-wise minimum (M,) of (3, M)."""
    return torch.minimum(torch.minimum(rows[0], rows[1]), rows[2])


def one_lowest(rows: Tensor) -> Tensor:
    """(3, M) bool with one True a column, at its first minimum."""
    first = (rows[0] <= rows[1]) & (rows[0] <= rows[2])
    second = ~first & (rows[1] <= rows[2])
    return torch.stack([first, second, ~(first | second)])


def distance_gradient(sides: Sides, inside: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the signed squared distance with respect to the corners.

    Args:
        sides: the triangles.
        inside: (M,) bool.
        gradient: (M,) with respect to the signed squared distance, positive inside.

    Returns:
        (3, M) and (3, M) with respect to the corners' x and y.
    """
    nearest = Nearest.of(sides)
    scale = torch.where(inside, gradient, -gradient).mul_(2.0)
    scale = one_lowest(nearest.squared_distance) * scale
    at_end = scale * nearest.share
    at_start = scale - at_end
    return (
        to_corners(at_start * nearest.x, at_end * nearest.x),
        to_corners(at_start * nearest.y, at_end * nearest.y),
    )


def weights_gradient(sides: Sides, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of `Sides.weights` (3, M) with respect to the corners' x and y."""
    return (
        to_corners(gradient * sides.end_y, -gradient * sides.start_y),
        to_corners(-gradient * sides.end_x, gradient * sides.start_x),
    )


def to_corners(at_start: Tensor, at_end: Tensor) -> Tensor:
    """Add up at the corners what belongs to the sides' starts and ends, (3, M) each."""
    return torch.stack([at_start[2] + at_end[1], at_start[0] + at_end[2], at_start[1] + at_end[0]])


def barycentric_gradient(
    sides: Sides, clipped: Tensor, gradient: Tensor, clipping: Clipping
) -> Tensor:
    """Gradient (3, M) of `Sides.weights` from that of the clipped coordinates (3, M)."""
    weights = sides.weights()
    area = weights.sum(0)
    raw = weights / area
    gradient = gradient - (gradient * clipped).sum(0)
    gradient = torch.where(clipping.passes(raw), gradient / clipping.apply(raw).sum(0), 0.0)
    return (gradient - (gradient * raw).sum(0)) / area
