"""Which pixels a triangle or a segment can reach, and how it meets them.

Everything here is in pixel units: `column` grows to the right from the centre of the leftmost pixel
and `up` grows upwards from the centre of the lowest one, so a triangle that is counter-clockwise in
the camera's frame stays counter-clockwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .geometry import SIDE_ORDER, Clipping, Nearest, Sides, lowest

_BLOCK = 1 << 16
"""Pairs of pixel and triangle looked at in one go: their arrays then stay in the cache."""

_LEAST_DOUBLED_AREA = 1e-8
"""In squared normalised units; triangles seen more edge-on than this are not drawn."""


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
        return x * self.pixels_per_unit + (self.width - 1) / 2.0

    def ups(self, y: Tensor) -> Tensor:
        """Heights above the lowest row of normalised y."""
        return y * self.pixels_per_unit + (self.height - 1) / 2.0

    def pixel(self, column: Tensor, up: Tensor) -> Tensor:
        """Row-major index of a pixel, counted from the top left."""
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
    first = (low - margin).ceil().clamp(0, size)
    last = (high + margin).floor().clamp(-1, size - 1)
    return first.long(), (last - first).long() + 1


def reach(sigma: float, min_probability: float, grid: Grid) -> float:
    """Distance in pixels at which sigmoid(-d²/σ) falls to `min_probability`."""
    logit = math.log((1.0 - min_probability) / min_probability)
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


@dataclass(frozen=True)
class Fragments:
    """N meetings of a pixel and a triangle, grouped by triangle.

    Attributes:
        pixel: (N,) int32 in [0, H * W), row-major from the top left.
        triangle: (N,) int32 in [0, F).
        barycentric: (3, N) in [0, 1], clipped to the triangle and summing to one.
        depth: (N,) at the clipped coordinates, towards the viewer.
        squared_distance: (N,) squared pixels from the pixel's centre to the triangle's outline;
            positive inside, negative outside.
    """

    pixel: Tensor
    triangle: Tensor
    barycentric: Tensor
    depth: Tensor
    squared_distance: Tensor

    def __iter__(self) -> Iterator[Tensor]:
        """The attributes in order."""
        return iter(
            (self.pixel, self.triangle, self.barycentric, self.depth, self.squared_distance)
        )

    def blocks(self) -> Iterator[Fragments]:
        """The same fragments a cache's worth at a time, in order."""
        for split in zip(*(torch.split(part, _BLOCK, dim=-1) for part in self), strict=True):
            yield Fragments(*split)


@dataclass(frozen=True)
class Triangles:
    """F triangles of one image, laid out for gathering.

    Attributes:
        x, y: (4, F) corners in pixels, rows in `SIDE_ORDER`.
        depth: (3, F) towards the viewer.
    """

    x: Tensor
    y: Tensor
    depth: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, depth: Tensor) -> Triangles:
        """Triangles from corners (3, F)."""
        return cls(x[list(SIDE_ORDER)], y[list(SIDE_ORDER)], depth)

    def sides(self, triangle: Tensor, column: Tensor, up: Tensor) -> Sides:
        """Sides of the given triangles seen from the given pixels, (M,) each."""
        x, y = self.x.index_select(1, triangle), self.y.index_select(1, triangle)
        return Sides.seen_from(x, y, column, up)


def rasterise(triangles: Triangles, grid: Grid, radius: float, clipping: Clipping) -> Fragments:
    """Every pixel inside a triangle or nearer than `radius` pixels to it; both faces count.

    Args:
        triangles: of one image.
        grid: the image.
        radius: pixels; each triangle looks only at the pixels of its box widened by as much.
        clipping: of the barycentric coordinates outside.
    """
    area = doubled_area(triangles.x, triangles.y).abs()
    boxes = Boxes.around(triangles.x, triangles.y, radius, grid)
    visible = boxes.filled() & (area > _LEAST_DOUBLED_AREA * grid.pixels_per_unit**2)
    drawn = visible.nonzero()[:, 0]
    blocks = [
        _rasterise_block(triangles, part, boxes, grid, radius, clipping)
        for part in torch.split(drawn, _block_sizes(boxes.select(drawn)))
    ]
    return Fragments(*(torch.cat(part, dim=-1) for part in zip(*blocks, strict=True)))


def _block_sizes(boxes: Boxes) -> list[int]:
    """How many boxes to take at a time so that a block has about `_BLOCK` pixels."""
    total = (boxes.columns * boxes.ups).cumsum(0)
    block = (total - 1).div(_BLOCK, rounding_mode="floor")
    sizes: list[int] = torch.bincount(block, minlength=1).tolist()
    return sizes


def _rasterise_block(
    triangles: Triangles,
    drawn: Tensor,
    boxes: Boxes,
    grid: Grid,
    radius: float,
    clipping: Clipping,
) -> Fragments:
    owner, column, up = boxes.select(drawn).pixels()
    triangle = drawn.index_select(0, owner)
    sides = triangles.sides(triangle, column, up)
    weights = sides.weights()
    barycentric = weights / weights.sum(0)
    distance = lowest(Nearest.of(sides).squared_distance)
    distance = torch.where(lowest(barycentric) > 0, distance, -distance)
    kept = (distance > -radius * radius).nonzero()[:, 0]
    triangle = triangle.index_select(0, kept)
    barycentric = clipping.apply(barycentric.index_select(1, kept))
    barycentric = barycentric / barycentric.sum(0)
    return Fragments(
        pixel=grid.pixel(column, up).index_select(0, kept).int(),
        triangle=triangle.int(),
        barycentric=barycentric,
        depth=(barycentric * triangles.depth.index_select(1, triangle)).sum(0),
        squared_distance=distance.index_select(0, kept),
    )
