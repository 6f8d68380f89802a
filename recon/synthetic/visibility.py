"""Which triangle each pixel shows: a scan-line z-buffer, for pictures without gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Visible:
    """The covered pixels of a picture and what covers them.

    Attributes:
        pixels: (N,) int64, row * width + column, ascending, each once.
        triangles: (N,) int64, the nearest triangle there.
        weights: (N, 3) float32, barycentric coordinates in it.
    """

    pixels: Ints
    triangles: Ints
    weights: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Spans:
    """Runs of pixels of one triangle in one row.

    Attributes:
        triangle, row, column, length: (S,) int64; `column` is the first.
        depth: (S,) at the first pixel.
        slope: (S,) change of depth from a pixel to the next.
    """

    triangle: Ints
    row: Ints
    column: Ints
    length: Ints
    depth: Floats
    slope: Floats


def visible_triangles(
    vertices: NDArray[np.floating], triangles: NDArray[np.integer], image_size: tuple[int, int]
) -> Visible:
    """The nearest triangle that faces the viewer, at every pixel centre that one covers.

    Two triangles never both cover, nor both miss, a pixel centre on the side they share.

    Args:
        vertices: (V, 3) normalised image coordinates (`recon.camera`).
        triangles: (F, 3) counter-clockwise seen from outside.
        image_size: (height, width).
    """
    corners = _pixel_corners(vertices, image_size)[triangles]
    spans = _spans(corners, image_size)
    pixels, chosen = _nearest(spans, image_size)
    triangle = spans.triangle[chosen]
    row, column = np.divmod(pixels, image_size[1])
    return Visible(pixels, triangle, _barycentric(corners[triangle], column, row))


def _pixel_corners(vertices: NDArray[np.floating], image_size: tuple[int, int]) -> Floats:
    """Column, row and depth (V, 3); integers are pixel centres, rows run down."""
    height, width = image_size
    points = vertices.astype(np.float64)
    points[:, :2] *= min(height, width)
    points[:, 0] = (points[:, 0] + width - 1) / 2
    points[:, 1] = (height - 1 - points[:, 1]) / 2
    return points


def _spans(corners: Floats, image_size: tuple[int, int]) -> _Spans:
    height, width = image_size
    slope_x, slope_y = _depth_slopes(corners)
    rows = corners[:, :, 1]
    first = np.ceil(rows.min(axis=1)).clip(0, height)
    last = np.ceil(rows.max(axis=1)).clip(0, height) - 1
    count = np.where(np.isfinite(slope_x), last - first + 1, 0).clip(0).astype(np.int64)
    triangle, offset = _runs(count)
    row = first[triangle].astype(np.int64) + offset
    left, right = _crossings(corners, triangle, row)
    column = np.ceil(left).clip(0, width).astype(np.int64)
    length = np.ceil(right).clip(0, width).astype(np.int64) - column
    full = np.flatnonzero(length > 0)
    triangle, row, column, length = (a[full] for a in (triangle, row, column, length))
    x, y, z = corners[triangle, 0].T
    depth = z + slope_x[triangle] * (column - x) + slope_y[triangle] * (row - y)
    return _Spans(triangle, row, column, length, depth, slope_x[triangle])


def _depth_slopes(corners: Floats) -> tuple[Floats, Floats]:
    """Change of depth per column and per row (F,); NaN where a triangle faces away."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = a[:, 1] * b[:, 0] - a[:, 0] * b[:, 1]
    area = np.where(area > 1e-9, area, np.nan)
    slope_x = (a[:, 1] * b[:, 2] - b[:, 1] * a[:, 2]) / area
    slope_y = (b[:, 0] * a[:, 2] - a[:, 0] * b[:, 2]) / area
    return slope_x, slope_y


def _runs(counts: Ints) -> tuple[Ints, Ints]:
    """Owner and place within the owner (sum of counts,) of every item."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def _crossings(corners: Floats, triangle: Ints, row: Ints) -> tuple[Floats, Floats]:
    """Where rows enter and leave their triangles (S,), each side taken from its upper end down."""
    left, right = np.zeros(len(row)), np.zeros(len(row))
    for start, end in ((0, 1), (1, 2), (2, 0)):
        down = (corners[:, start, 1] < corners[:, end, 1])[:, None]
        upper = np.where(down, corners[:, start, :2], corners[:, end, :2])
        lower = np.where(down, corners[:, end, :2], corners[:, start, :2])
        rise = np.maximum(lower[:, 1] - upper[:, 1], 1e-12)
        slant = (lower[:, 0] - upper[:, 0]) / rise
        x = upper[triangle, 0] + (row - upper[triangle, 1]) * slant[triangle]
        met = (upper[triangle, 1] <= row) & (row < lower[triangle, 1])
        descends = down[triangle, 0]
        left += np.where(met & descends, x, 0)
        right += np.where(met & ~descends, x, 0)
    return left, right


def _nearest(spans: _Spans, image_size: tuple[int, int]) -> tuple[Ints, Ints]:
    """Covered pixels (N,), ascending, and the span that is nearest to the viewer in each."""
    owner, offset = _runs(spans.length)
    start = spans.row * image_size[1] + spans.column
    pixel = start[owner] + offset
    depth = spans.depth[owner] + spans.slope[owner] * offset
    front = np.full(image_size[0] * image_size[1], -np.inf)
    np.maximum.at(front, pixel, depth)
    won = np.flatnonzero(depth == front[pixel])
    chosen = np.full(len(front), -1)
    chosen[pixel[won]] = owner[won]
    covered = np.flatnonzero(chosen >= 0)
    return covered, chosen[covered]


def _barycentric(corners: Floats, column: Ints, row: Ints) -> NDArray[np.float32]:
    """Weights (N, 3) of points in triangles of corners (N, 3, 3)."""
    x, y = corners[:, :, 0] - column[:, None], corners[:, :, 1] - row[:, None]
    areas = np.stack(
        [x[:, j] * y[:, k] - x[:, k] * y[:, j] for j, k in ((1, 2), (2, 0), (0, 1))], axis=1
    )
    weights = (areas / areas.sum(axis=1, keepdims=True)).clip(0, 1)
    return weights.astype(np.float32)
