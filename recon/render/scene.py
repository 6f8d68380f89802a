"""One image's triangles, gathered once in the order in which they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .geometry import Clipping, Windows
from .grid import Grid
from .rasterise import Block, Fragments, Triangles, blocks, meet


@dataclass(frozen=True)
class Part:
    """A block of triangles and what its corners carry.

    Attributes:
        block: the triangles' windows.
        rows: (18, N) x, y (pixels), depth, red, green, blue; three corners of each.
    """

    block: Block
    rows: Tensor

    @cached_property
    def depth(self) -> Tensor:
        """(3, N)."""
        return self.rows[6:9]

    @cached_property
    def colours(self) -> Tensor:
        """(3, 3, 1, 1, N), channel and corner."""
        return self.rows[9:].view(3, 3, 1, 1, -1)

    def windows(self) -> Windows:
        """The triangles seen from their windows."""
        x, y = self.rows[:3] - self.block.column, self.rows[3:6] - self.block.up
        return Windows.at(x, y, self.block.size)

    def meet(self, windows: Windows, grid: Grid, clipping: Clipping) -> Fragments:
        """The part's fragments, from its windows."""
        return meet(self.block, windows, self.depth, grid, clipping)


@dataclass(frozen=True)
class Scene:
    """The triangles of an image that may reach a pixel.

    Attributes:
        parts: of the triangles, in the order of drawing; none where nothing is in view.
        corners: (3, F) int64 vertices of all parts' triangles, in that order.
        rows: (18, F) of all parts, see `Part`.
    """

    parts: list[Part]
    corners: Tensor
    rows: Tensor

    @classmethod
    def of(cls, vertices: Tensor, corners: Tensor, grid: Grid, radius: float) -> Scene:
        """From x, y (pixels), depth and colours (6, V) and the triangles' vertices (3, F).

        Gathered in the order of drawing, a block's triangles are a slice: nothing is gathered for
        a block, neither forwards nor backwards.
        """
        found = list(blocks(Triangles(*_gather(vertices[:3], corners)), grid, radius))
        order = torch.cat([corners.new_empty(0), *(block.triangle for block in found)])
        corners = corners.index_select(1, order)
        rows = _gather(vertices, corners).view(18, -1)
        pieces = torch.split(rows, [len(block.triangle) for block in found], dim=1)
        return cls([Part(*pair) for pair in zip(found, pieces, strict=True)], corners, rows)

    def to_vertices(self, gradients: list[Tensor], n_vertices: int) -> Tensor:
        """Add up the parts' gradients (18, N) at the vertices, (6, V)."""
        rows = torch.cat([self.rows[:, :0], *gradients], dim=1).view(6, -1)
        return rows.new_zeros(6, n_vertices).index_add_(1, self.corners.view(-1), rows)


def _gather(vertices: Tensor, corners: Tensor) -> Tensor:
    """(R, 3, F) of (R, V) values at the vertices."""
    return vertices.index_select(1, corners.reshape(-1)).view(len(vertices), 3, -1)
