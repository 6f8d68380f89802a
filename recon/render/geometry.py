"""Pixels of an image, bounding boxes, and how pixels lie to triangles, with the derivatives.

Pixel units here: `column` grows to the right from the centre of the leftmost pixel and `up` grows
upwards from the centre of the lowest one, so a triangle that is counter-clockwise in the camera's
frame stays counter-clockwise.

Rows of sides and rows of vertices belong together: side k lies opposite vertex k and runs from
vertex k + 1 to vertex k + 2. Choices are made by arithmetic, never by boolean masks: on a CPU
masked operations cost twenty times as much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """The pixels of one image.

    Attributes:
        height, width: in pixels.
    """

    height: int
    width: int

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def pixels_per_unit(self) -> float:
        """Pixels per normalised unit; the shorter side spans two units."""
        return min(self.height, self.width) / 2.0

    def columns(self, x: Tensor) -> Tensor:
        """Columns of normalised x."""
        # Half a pixel less than the middle of the image: integers are pixel centres, not corners.
        return x * self.pixels_per_unit + (self.width - 1) / 2.0

    def ups(self, y: Tensor) -> Tensor:
        """Heights above the lowest row of normalised y."""
        return y * self.pixels_per_unit + (self.height - 1) / 2.0

    def pixel(self, column: Tensor, up: Tensor) -> Tensor:
        """Row-major index of a pixel, counted from the top left."""
        # Rows of an image run down from the top, `up` from the bottom.
        return (self.height - 1 - up) * self.width + column

    def position(self, pixel: Tensor) -> tuple[Tensor, Tensor]:
        """Column and up of a row-major index; the inverse of `pixel`."""
        row = pixel // self.width
        return pixel - row * self.width, self.height - 1 - row


@dataclass(frozen=True)
class Boxes:
    """The pixels inside N axis-aligned boxes, cut at the image's border.

    Attributes:
        column, up: (N,) int64, the lowest left pixel.
        columns, ups: (N,) int64, the box's size in pixels; not positive where it holds no pixel.
    """

    column: Tensor
    up: Tensor
    columns: Tensor
    ups: Tensor

    @classmethod
    def around(cls, x: Tensor, y: Tensor, margin: float, grid: Grid) -> Boxes:
        """Boxes around the corners x, y (C, N), wider by `margin` pixels on every side."""
        column, columns = _span(x, margin, grid.width)
        up, ups = _span(y, margin, grid.height)
        return cls(column, up, columns, ups)

    def select(self, index: Tensor) -> Boxes:
        """The boxes of the given indices."""
        parts = (self.column, self.up, self.columns, self.ups)
        return Boxes(*(part.index_select(0, index) for part in parts))

    def filled(self) -> Tensor:
        """(N,) bool, whether a box holds a pixel centre."""
        return (self.columns > 0) & (self.ups > 0)

    def pixels(self) -> tuple[Tensor, Tensor, Tensor]:
        """Every pixel of every (filled) box as (owner, column, up), each (M,) int64."""
        # All boxes' pixels in one array: their owner by repetition, their place by subtraction of
        # each box's first index; a Python loop over triangles would take seconds.
        counts = self.columns * self.ups
        owner = torch.repeat_interleave(counts)
        start = (counts.cumsum(0) - counts).index_select(0, owner)
        offset = torch.arange(len(owner), device=owner.device) - start
        columns = self.columns.index_select(0, owner)
        row = offset.div(columns, rounding_mode="floor")
        column = offset - row * columns + self.column.index_select(0, owner)
        return owner, column, row + self.up.index_select(0, owner)


def _span(corner: Tensor, margin: float, size: int) -> tuple[Tensor, Tensor]:
    """First pixel and number of pixels between the least and the greatest corner."""
    low, high = corner.aminmax(dim=0)
    # From the first pixel centre inside the box to the last one; a box between two centres holds
    # none and comes out with a count of 0 or less.
    first = (low - margin).ceil().clamp(0, size)
    # From -1, so that a box left of the image ends before it begins.
    last = (high + margin).floor().clamp(-1, size - 1)
    return first.long(), (last - first).long() + 1


def reach(sigma: float, min_probability: float, grid: Grid) -> float:
    """Distance in pixels at which sigmoid(-d²/σ) falls to `min_probability`."""
    logit = math.log((1.0 - min_probability) / min_probability)
    # The sigmoid inverted: σ is in squared normalised units, hence the root before the change of
    # unit.
    return math.sqrt(sigma * logit) * grid.pixels_per_unit


def edge_functions(x: Tensor, y: Tensor, column: Tensor, up: Tensor) -> Tensor:
    """Twice the signed areas that a point forms with the triangle's sides, (3, M).

    Written relative to the point, so that two triangles get exactly opposite values at the side
    they share: no pixel falls between them.

    Args:
        x, y: (3, M) corners.
        column, up: (M,) the points.
    """
    x0, x1, x2 = (x - column).unbind(0)
    y0, y1, y2 = (y - up).unbind(0)
    return torch.stack([x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0])


def doubled_area(x: Tensor, y: Tensor) -> Tensor:
    """Twice the signed area of triangles with corners x, y (3, N); positive: facing the viewer."""
    return (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])


class Clipping(Enum):
    """How barycentric coordinates outside a triangle are drawn back before they are renormalised.

    `ZERO` cuts at 0 only (pytorch3d), `UNIT` cuts at 0 and 1 (SoftRas).
    """

    ZERO = "zero"
    UNIT = "unit"

    @property
    def highest(self) -> float:
        """The upper bound."""
        return 1.0 if self is Clipping.UNIT else math.inf

    def apply(self, barycentric: Tensor) -> Tensor:
        """Coordinates in the allowed range, not yet renormalised."""
        return barycentric.clamp(0.0, self.highest)

    def gradient(self, gradient: Tensor, barycentric: Tensor) -> Tensor:
        """Gradient with respect to the coordinates from that of `apply`."""
        # PyTorch's own derivative of a clamp: one pass over memory, where a mask takes three.
        passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, barycentric, 0.0, self.highest)
        return passed


class Windows:
    """N triangles, each on its own window of h x w pixels.

    What is affine in the pixel is the sum of a part that changes along the window's columns and one
    that changes along its rows: arrays of (3, 1, w, N) and (3, h, 1, N) instead of (3, h, w, N).

    Args:
        x, y: (3, N) corners in pixels, seen from the window's lowest left pixel.
        size: (h, w).
    """

    def __init__(self, x: Tensor, y: Tensor, size: tuple[int, int]) -> None:
        self.x, self.y = x, y
        # 0, 1, 2 … as (w, 1) and (h, 1, 1).
        self.columns = torch.arange(size[1], dtype=x.dtype, device=x.device).view(-1, 1)
        self.rows = torch.arange(size[0], dtype=x.dtype, device=x.device).view(-1, 1, 1)

    @cached_property
    def starts(self) -> tuple[Tensor, Tensor]:
        """x and y (3, 1, 1, N) of the sides' starts."""
        return self.x.roll(-1, 0).view(3, 1, 1, -1), self.y.roll(-1, 0).view(3, 1, 1, -1)

    @cached_property
    def along(self) -> tuple[Tensor, Tensor]:
        """Vectors (3, 1, 1, N) from the sides' starts to their ends."""
        x, y = self.starts
        return x.roll(-1, 0) - x, y.roll(-1, 0) - y

    @cached_property
    def inverse_area(self) -> Tensor:
        """One over twice the signed area, (N,)."""
        return 1.0 / doubled_area(self.x, self.y)

    @cached_property
    def barycentric(self) -> Tensor:
        """Barycentric coordinates (3, h, w, N), not clipped."""
        (x, y), (along_x, along_y) = self.starts, self.along
        # The value at the window's lowest left pixel; its slopes along columns and rows are
        # constant, so only two thin arrays are added to the full one.
        corner = (x * along_y - y * along_x) * self.inverse_area
        by_column = corner - along_y * self.inverse_area * self.columns
        return by_column + along_x * self.inverse_area * self.rows

    @cached_property
    def nearest(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The point of each side that is nearest to each pixel, (3, h, w, N) each.

        How far along the side it lies, in [0, 1], the vector from the pixel to it (x and y), and
        the squared distance.
        """
        (x, y), (along_x, along_y) = self.starts, self.along
        # No guard against a side of no length: such triangles have no area and are not drawn.
        per_length = 1.0 / (along_x * along_x + along_y * along_y)
        by_column = (self.columns - x) * (along_x * per_length)
        share = (by_column + (self.rows - y) * (along_y * per_length)).clamp_(0.0, 1.0)
        # One fused pass per array: these are the largest of the renderer, and memory bounds it.
        to_x = torch.addcmul(x - self.columns, share, along_x)
        to_y = torch.addcmul(y - self.rows, share, along_y)
        return share, to_x, to_y, torch.addcmul(to_x * to_x, to_y, to_y)

    def distance_gradient(self, distance: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of the signed squared distance, summed over the windows.

        Args:
            distance: (h, w, N) the signed squared distance, positive inside.
            gradient: (h, w, N) with respect to it.

        Returns:
            (3, N) and (3, N) with respect to the corners' x and y.
        """
        share, to_x, to_y, squared_distance = self.nearest
        # The nearest point slides along its side, but at a right angle to the distance: to first
        # order only its ends move it, by their shares.
        scale = distance.sign().mul_(gradient).mul_(2.0)
        scale = one_lowest(squared_distance).mul_(scale)
        return _gradient_at_corners(scale * to_x, share), _gradient_at_corners(scale * to_y, share)

    def barycentric_gradient(
        self, clipped: Tensor, gradient: Tensor, clipping: Clipping
    ) -> tuple[Tensor, Tensor]:
        """Gradient of the clipped, renormalised coordinates, summed over the windows.

        Args:
            clipped: (3, h, w, N) the coordinates.
            gradient: (3, h, w, N) with respect to them.
            clipping: how they were clipped.

        Returns:
            (3, N) and (3, N) with respect to the corners' x and y.
        """
        raw = self.barycentric
        # Through the division by the sum: what all three coordinates share has no effect.
        gradient = (gradient - dot(gradient, clipped)).div_(clipping.apply(raw).sum(0))
        gradient = clipping.gradient(gradient, raw)
        # The coordinates are areas over the triangle's area, which the corners change as well.
        return self._areas_gradient(gradient.sub_(dot(gradient, raw)))

    def _areas_gradient(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of the areas between pixel and side, summed over the windows.

        An area is start x end, seen from the pixel, so the derivative to one is the other.

        Args:
            gradient: (3, h, w, N) with respect to the areas' shares of the triangle's.
        """
        # Sums along rows and columns first: an area is affine in the pixel, so its moments are all
        # that the corners need of a window.
        by_column = gradient.sum(1) * self.inverse_area
        by_row = gradient.sum(2) * self.inverse_area
        total = by_column.sum(1)
        moment_x, moment_y = (by_column * self.columns).sum(1), (by_row * self.rows[:, 0]).sum(1)
        x, y = (part.view(3, -1) for part in self.starts)
        seen_x, seen_y = x * total - moment_x, y * total - moment_y
        end_x, end_y = (part.view(3, -1) for part in self.along)
        end_x, end_y = seen_x + end_x * total, seen_y + end_y * total
        # d(sx ey - sy ex): ey and -sy at the x of start and end, -ex and sx at their y.
        return to_corners(end_y, -seen_y), to_corners(-end_x, seen_x)


def dot(left: Tensor, right: Tensor) -> Tensor:
    """Sum over three rows of a product; the rows broadcast."""
    # Accumulated in place; a stacked product would be written to memory and read back.
    first = left[0] * right[0]
    return first.addcmul_(left[1], right[1]).addcmul_(left[2], right[2])


def lowest(rows: Tensor) -> Tensor:
    """Minimum over three rows."""
    return torch.minimum(torch.minimum(rows[0], rows[1]), rows[2])


def one_lowest(rows: Tensor) -> Tensor:
    """1 at the first minimum of the three rows, 0 at the others."""
    chosen = torch.empty_like(rows)
    # Comparisons written into floats: a boolean mask would have to be converted. At ties the first
    # side alone counts, so that nothing is counted twice.
    torch.le(rows[0], torch.minimum(rows[1], rows[2]), out=chosen[0])
    torch.le(rows[1], rows[2], out=chosen[1])
    chosen[1] -= chosen[1] * chosen[0]
    torch.sub(1.0 - chosen[0], chosen[1], out=chosen[2])
    return chosen


def _gradient_at_corners(on_nearest: Tensor, share: Tensor) -> Tensor:
    """From a gradient at the sides' nearest points to the corners, summed over the windows."""
    total, at_end = on_nearest.sum((1, 2)), (on_nearest * share).sum((1, 2))
    return to_corners(total - at_end, at_end)


def to_corners(at_start: Tensor, at_end: Tensor) -> Tensor:
    """Add up at the corners what belongs to the sides' starts and ends, (3, N) each."""
    # Side k starts at corner k + 1 and ends at corner k + 2.
    return at_start.roll(1, 0) + at_end.roll(2, 0)
