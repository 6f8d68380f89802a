"""Which pixels each triangle of an image reaches, and how: the fragments.

Only the pixels of a triangle's own box, widened by the radius, are looked at. Triangles with boxes
of one size are taken together, so that everything is a dense array with the triangles innermost:
per-triangle values broadcast over the box's pixels, and nothing is gathered per fragment.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from .geometry import Boxes, Clipping, Grid, Windows, dot, doubled_area, lowest

LEAST_DOUBLED_AREA = 1e-8
"""In squared normalised units; triangles seen more edge-on than this are not drawn."""

# Fragments looked at in one go: their arrays then stay in the cache.
_BLOCK = 1 << 15

# Fragments that cost less than the operations of one block.
_FEW = 1 << 14

# Sides of windows in pixels; a box takes the next larger one, at most a third too large.
_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Fragments:
    """Meetings of N triangles with the h x w pixels of their windows.

    Attributes:
        pixel: (h, w, N) int64 in [0, H * W), row-major from the top left.
        barycentric: (3, h, w, N) in [0, 1], clipped to the triangle and summing to one.
        depth: (h, w, N) at the clipped coordinates, towards the viewer.
        squared_distance: (h, w, N) squared pixels from the pixel's centre to the triangle's
            outline, positive inside, negative outside. Windows have corners: some pixels lie
            beyond the radius, and the blend drops them by their probability.
    """

    pixel: Tensor
    barycentric: Tensor
    depth: Tensor
    squared_distance: Tensor


@dataclass(frozen=True)
class Block:
    """N triangles whose windows all have one size.

    Attributes:
        column, up: (N,) int64, lowest left pixel of the window.
        size: (height, width) of the windows.
        rows: (18, N) x, y (pixels), depth, red, green, blue; three corners of each.
    """

    column: Tensor
    up: Tensor
    size: tuple[int, int]
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
        # Relative to the window, so that float32 keeps its digits far from the image's corner.
        x, y = self.rows[:3] - self.column, self.rows[3:6] - self.up
        return Windows(x, y, self.size)

    def pixel(self, grid: Grid) -> Tensor:
        """Row-major pixels (h, w, N) of the windows."""
        device = self.column.device
        column = torch.arange(self.size[1], device=device).view(-1, 1)
        row = torch.arange(self.size[0], device=device).view(-1, 1, 1)
        # Minus: windows count upwards, pixels downwards.
        return grid.pixel(self.column, self.up) + (column - row * grid.width)

    def meet(self, windows: Windows, grid: Grid, clipping: Clipping) -> Fragments:
        """The block's fragments.

        Args:
            windows: of `windows`; the backward pass needs them too.
            grid: the image.
            clipping: of the barycentric coordinates outside.
        """
        clipped = clipping.apply(windows.barycentric)
        barycentric = clipped.div_(clipped.sum(0))
        _, _, _, squared_distance = windows.nearest
        return Fragments(
            pixel=self.pixel(grid),
            barycentric=barycentric,
            # Clipped before the depth is taken: outside the triangle it is that of the outline.
            # Extrapolated, a triangle seen edge-on would leap before the whole face.
            depth=dot(barycentric, self.depth),
            # Inside when no unclipped coordinate is negative, whichever way the triangle turns.
            squared_distance=torch.copysign(lowest(squared_distance), lowest(windows.barycentric)),
        )


class Scene:
    """The triangles of an image that may reach a pixel.

    Args:
        vertices: (6, V) x, y (pixels), depth and colours.
        corners: (3, F) vertices of the triangles.
        grid: the image.
        radius: pixels by which a triangle reaches beyond its outline.

    Attributes:
        blocks: of the triangles, in the order of drawing; none where nothing is in view.
        corners: (3, F) int64 vertices of all blocks' triangles, in that order.
    """

    def __init__(self, vertices: Tensor, corners: Tensor, grid: Grid, radius: float) -> None:
        x, y = _gather(vertices[:2], corners)
        found = list(group_windows(x, y, grid, radius))
        order = torch.cat([corners.new_empty(0), *(triangle for triangle, *_ in found)])
        self.corners = corners.index_select(1, order)
        # Gathered in the order of drawing, a block's triangles are a slice: nothing is gathered
        # for a block, neither forwards nor backwards.
        rows = _gather(vertices, self.corners).view(18, -1)
        pieces = torch.split(rows, [len(triangle) for triangle, *_ in found], dim=1)
        self.blocks = [
            Block(column, up, size, own)
            for (_, column, up, size), own in zip(found, pieces, strict=True)
        ]

    def to_vertices(self, gradients: list[Tensor], like: Tensor) -> Tensor:
        """Add up the blocks' gradients (18, N) at the vertices, as (6, V) values `like` these."""
        rows = torch.cat([like.new_empty(18, 0), *gradients], dim=1).view(6, -1)
        return torch.zeros_like(like).index_add_(1, self.corners.view(-1), rows)


def _gather(vertices: Tensor, corners: Tensor) -> Tensor:
    """(R, 3, F) of (R, V) values at the vertices."""
    return vertices.index_select(1, corners.reshape(-1)).view(len(vertices), 3, -1)


def group_windows(
    x: Tensor, y: Tensor, grid: Grid, radius: float
) -> Iterator[tuple[Tensor, Tensor, Tensor, tuple[int, int]]]:
    """The triangles that may reach a pixel, in groups of about `_BLOCK` fragments.

    Args:
        x, y: (3, F) corners in pixels, of one image.
        grid: the image.
        radius: pixels by which a triangle reaches beyond its outline.

    Yields:
        Triangles (N,) int64 in [0, F), the lowest left pixels (N,), (N,) of their windows, and the
        (height, width) that these share.
    """
    area = doubled_area(x, y).abs()
    boxes = Boxes.around(x, y, radius, grid)
    visible = boxes.filled() & (area > LEAST_DOUBLED_AREA * grid.pixels_per_unit**2)
    heights, widths = _sizes(grid.height), _sizes(grid.width)
    key = _size_class(boxes.ups, heights) * len(widths) + _size_class(boxes.columns, widths)
    # What is not drawn sorts behind every size, and the counts end before it.
    hidden = len(heights) * len(widths)
    key = key.masked_fill(~visible, hidden)
    # Stable, so that the order of the sums, and with it the last digit, is that of the mesh.
    order = key.short().argsort(stable=True)
    counts = torch.bincount(key, minlength=hidden)[:hidden].view(len(heights), -1).tolist()
    for size, triangle in _group_by_size(order, counts, heights, widths):
        # Cut evenly: a block of few fragments costs as many operations as a full one.
        for part in triangle.chunk(max(round(len(triangle) * size[0] * size[1] / _BLOCK), 1)):
            # A window that would leave the image moves back into it.
            column = boxes.column.index_select(0, part).clamp(max=grid.width - size[1])
            up = boxes.up.index_select(0, part).clamp(max=grid.height - size[0])
            yield part, column, up, size


def _group_by_size(
    order: Tensor, counts: list[list[int]], heights: list[int], widths: list[int]
) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """Runs of `order` by window size, as ((height, width), run); a few join the next wider ones."""
    start = stop = 0
    for height, row in zip(heights, counts, strict=True):
        filled = [(width, count) for width, count in zip(widths, row, strict=True) if count]
        # The last width of a height has no wider one to join: its limit is passed by any run.
        for (width, count), (wider, _) in pairwise([*filled, (sys.maxsize, 0)]):
            stop += count
            if (stop - start) * height * wider > _FEW:
                yield (height, width), order[start:stop]
                start = stop


def _sizes(longest: int) -> list[int]:
    """Window sizes for images of a given side."""
    return [size for size in _SIZES if size < longest] + [longest]


def _size_class(extent: Tensor, sizes: list[int]) -> Tensor:
    """Index of the least size that holds an extent."""
    # A table of all extents: one look-up per triangle instead of a search.
    extents = torch.arange(sizes[-1] + 1, device=extent.device)
    table = torch.bucketize(extents, torch.tensor(sizes, device=extent.device))
    return table.index_select(0, extent.clamp(0, sizes[-1]))


def draw_each_image(
    draw: Callable[[Item], Result], images: Iterable[Item], device: torch.device
) -> list[Result]:
    """`draw` of every image, in their order, without gradients.

    On a CPU as many images at a time as torch has threads (`torch.get_num_threads`), one thread
    each; elsewhere one after the other.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return [_without_gradients(draw, image) for image in images]
    try:
        # Threads per image never wait for each other: an operation on one image is too small for
        # torch to share among threads, which would wait for each other after every operation.
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(lambda image: _without_gradients(draw, image), images))
    finally:
        # A thread's setting is also what later threads start with.
        torch.set_num_threads(threads)


def _without_gradients(draw: Callable[[Item], Result], image: Item) -> Result:
    # Gradients are switched off for one thread only, so each does it for itself.
    with torch.no_grad():
        return draw(image)
