"""Which triangle each pixel shows: a hard z-buffer, for pictures without gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..render.rasterise import Boxes, Grid, doubled_area, edge_functions

_SMALLEST = 1e-7


@dataclass(frozen=True)
class Visible:
    """The covered pixels of a picture and what covers them.

    Attributes:
        pixels: (N,) int64, row * width + column.
        triangles: (N,) int64, the nearest triangle there.
        weights: (3, N) barycentric coordinates in it.
    """

    pixels: Tensor
    triangles: Tensor
    weights: Tensor


def visible_triangles(vertices: Tensor, triangles: Tensor, grid: Grid) -> Visible:
    """The nearest triangle that faces the viewer, at every pixel centre that one covers.

    Args:
        vertices: (V, 3) normalised image coordinates.
        triangles: (3, F) int64 corners.
        grid: the picture's pixels.
    """
    x, y = (
        _corners(grid.columns(vertices[:, 0]), triangles),
        _corners(grid.ups(vertices[:, 1]), triangles),
    )
    area = doubled_area(x, y)
    boxes = Boxes.around(x, y, 0.0, grid)
    kept = torch.nonzero((area > _SMALLEST) & boxes.filled())[:, 0]
    owner, column, up = boxes.select(kept).pixels()
    triangle = kept.index_select(0, owner)
    sides = edge_functions(_columns(x, triangle), _columns(y, triangle), column, up)
    inside = torch.nonzero(sides.amin(0) >= 0)[:, 0]
    triangle, sides = triangle.index_select(0, inside), sides.index_select(1, inside)
    pixel = grid.pixel(column.index_select(0, inside), up.index_select(0, inside))
    weights = sides / area.index_select(0, triangle)
    depth = _columns(vertices[:, 2].take(triangles), triangle)
    return _nearest(Visible(pixel, triangle, weights), (weights * depth).sum(0), grid)


def _corners(values: Tensor, triangles: Tensor) -> Tensor:
    return values.take(triangles)


def _columns(values: Tensor, index: Tensor) -> Tensor:
    return values.index_select(1, index)


def _nearest(fragments: Visible, depth: Tensor, grid: Grid) -> Visible:
    """The fragment nearest to the viewer at each pixel; of equals the first."""
    front = torch.full((grid.n_pixels,), -torch.inf)
    front.scatter_reduce_(0, fragments.pixels, depth, "amax")
    won = torch.nonzero(depth == front.index_select(0, fragments.pixels))[:, 0]
    first = torch.full((grid.n_pixels,), len(depth))
    first.scatter_reduce_(0, fragments.pixels.index_select(0, won), won, "amin")
    chosen = first[first < len(depth)]
    return Visible(
        fragments.pixels.index_select(0, chosen),
        fragments.triangles.index_select(0, chosen),
        fragments.weights.index_select(1, chosen),
    )
