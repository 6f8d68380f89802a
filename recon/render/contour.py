"""The outer contour of a mesh on the image, and the pixels near it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .grid import Boxes, Grid

_PROBE = 0.75
"""Pixels beyond the contour at which coverage is looked up: more than half a pixel's diagonal, so
that the pixel asked lies outside a straight contour."""


@dataclass(frozen=True)
class Edges:
    """The sides of a mesh's triangles, each once.

    Attributes:
        start, end: (E,) int64 vertices, in the counter-clockwise order of `left`.
        left: (E,) int64 triangle on the left of start to end.
        right: (E,) int64 triangle on the other side; F where there is none.
    """

    start: Tensor
    end: Tensor
    left: Tensor
    right: Tensor

    @classmethod
    def of(cls, triangles: Tensor) -> Edges:
        """Edges of triangles (F, 3); a side of more than two triangles gives several edges."""
        n = len(triangles)
        start, end = triangles.T.reshape(-1), triangles.roll(-1, 1).T.reshape(-1)
        key = torch.minimum(start, end) * (triangles.max() + 1) + torch.maximum(start, end)
        key, order = key.sort(stable=True)
        first, second = _pairs(key)
        owner = order % n
        right = torch.where(second >= 0, owner[second.clamp(min=0)], n)
        kept = order[first]
        return cls(start[kept], end[kept], owner[first], right)


def _pairs(sorted_key: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of equal neighbours two by two; the second is -1 where one is left alone."""
    position = torch.arange(len(sorted_key), device=sorted_key.device)
    starts = torch.ones_like(sorted_key, dtype=torch.bool)
    starts[1:] = sorted_key[1:] != sorted_key[:-1]
    run = torch.where(starts, position, 0).cummax(0).values
    first = ((position - run) % 2 == 0).nonzero()[:, 0]
    following = (first + 1).clamp(max=max(len(sorted_key) - 1, 0))
    paired = (sorted_key[following] == sorted_key[first]) & (following > first)
    return first, torch.where(paired, following, -1)


def silhouette_edges(edges: Edges, front: Tensor) -> tuple[Tensor, Tensor]:
    """Edges between a triangle that faces the viewer and one that does not, or none.

    Args:
        edges: of the mesh.
        front: (F,) bool, which triangles face the viewer.

    Returns:
        Vertices (start, end), each (S,), with the facing triangle on their left.
    """
    facing = torch.cat([front, front.new_zeros(1)])
    left, right = facing.index_select(0, edges.left), facing.index_select(0, edges.right)
    chosen = (left != right).nonzero()[:, 0]
    start, end = edges.start.index_select(0, chosen), edges.end.index_select(0, chosen)
    turned = right.index_select(0, chosen)
    return torch.where(turned, end, start), torch.where(turned, start, end)


def nearest_point(
    x: Tensor, y: Tensor, column: Tensor, up: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest point of segments to points.

    Args:
        x, y: (2, M) ends of the segments.
        column, up: (M,) the points.

    Returns:
        share (M,) of the way from start to end, and the vector (M,), (M,) from the point there.
    """
    along_x, along_y = x[1] - x[0], y[1] - y[0]
    to_x, to_y = column - x[0], up - y[0]
    length = (along_x * along_x + along_y * along_y).clamp(min=1e-12)
    share = ((to_x * along_x + to_y * along_y) / length).clamp(0.0, 1.0)
    return share, share * along_x - to_x, share * along_y - to_y


def near_contour(
    x: Tensor, y: Tensor, covered: Tensor, radius: float, grid: Grid
) -> tuple[Tensor, Tensor]:
    """Pixels within `radius` of the outer contour, and the edge nearest to each.

    Seen from an uncovered pixel the nearest silhouette edge lies on the outer contour. Seen from
    a covered one it may be an inner contour (a nose before a cheek), which is told by the pixel
    just beyond it being covered too.

    Args:
        x, y: (2, S) ends of the silhouette edges, in pixels.
        covered: (H * W,) bool, pixels whose centre lies in the face.
        radius: pixels.
        grid: the image.

    Returns:
        pixel (M,), each at most once, and edge (M,), an index into the S edges.
    """
    boxes = Boxes.around(x, y, radius, grid)
    filled = boxes.filled().nonzero()[:, 0]
    owner, column, up = boxes.select(filled).pixels()
    edge, pixel = filled.index_select(0, owner), grid.pixel(column, up)
    ends_x, ends_y = x.index_select(1, edge), y.index_select(1, edge)
    _, to_x, to_y = nearest_point(ends_x, ends_y, column, up)
    distance = to_x * to_x + to_y * to_y
    inside = covered.index_select(0, pixel)
    # On the contour itself the way out is the edge's own normal.
    out_x = to_x + 1e-3 * (ends_y[1] - ends_y[0])
    out_y = to_y - 1e-3 * (ends_x[1] - ends_x[0])
    step = _PROBE / torch.hypot(out_x, out_y).clamp(min=1e-12)
    beyond = _is_covered(column + to_x + out_x * step, up + to_y + out_y * step, covered, grid)
    kept = ((distance <= radius * radius) & ~(inside & beyond)).nonzero()[:, 0]
    pixel, edge = pixel.index_select(0, kept), edge.index_select(0, kept)
    return closest(pixel, edge, distance.index_select(0, kept), grid.n_pixels)


def _is_covered(column: Tensor, up: Tensor, covered: Tensor, grid: Grid) -> Tensor:
    """Whether the pixel that holds a point is covered; nothing is outside the image."""
    column, up = column.round().long(), up.round().long()
    on_image = (column >= 0) & (column < grid.width) & (up >= 0) & (up < grid.height)
    pixel = torch.where(on_image, grid.pixel(column, up), 0)
    return covered.index_select(0, pixel) & on_image


def closest(pixel: Tensor, item: Tensor, distance: Tensor, n_pixels: int) -> tuple[Tensor, Tensor]:
    """For every pixel that occurs its item of least distance; ties go to the lower item."""
    least = distance.new_full((n_pixels,), torch.inf)
    least = least.scatter_reduce(0, pixel, distance, "amin")
    best = (distance == least.index_select(0, pixel)).nonzero()[:, 0]
    none = torch.iinfo(item.dtype).max
    winner = item.new_full((n_pixels,), none)
    winner = winner.scatter_reduce(
        0, pixel.index_select(0, best), item.index_select(0, best), "amin"
    )
    reached = (winner != none).nonzero()[:, 0]
    return reached, winner.index_select(0, reached)
