"""The pixels of an image, and those inside boxes.

Pixel units here: `column` grows to the right from the centre of the leftmost pixel and `up` grows
upwards from the centre of the lowest one, so a triangle that is counter-clockwise in the camera's
frame stays counter-clockwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
