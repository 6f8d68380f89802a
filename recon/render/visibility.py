"""Which triangle each pixel shows: a scan-line z-buffer, for pictures without gradients."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]

# Twice the area in px² under which a triangle is not drawn.
_SMALLEST = 1e-9


def visible_triangles(
    vertices: NDArray[np.floating], triangles: NDArray[np.integer], image_size: tuple[int, int]
) -> tuple[Ints, Ints, Singles]:
    """The nearest triangle that faces the viewer, at every pixel centre that one covers.

    Two triangles never both cover, nor both miss, a pixel centre on the side they share.

    Args:
        vertices: (V, 3) normalised image coordinates (`recon.face.imaging`).
        triangles: (F, 3) counter-clockwise seen from outside.
        image_size: (height, width).

    Returns:
        Covered pixels (N,), row * width + column, ascending, each once; the triangle (N,) that each
        shows; and barycentric coordinates (3, N) float32 in it.
    """
    corners = _pixel_corners(vertices, image_size)[:, triangles.T]
    # Backs are left out before any span is made: half of a head.
    drawn = np.flatnonzero((_doubled_area(corners) > _SMALLEST) & _in_view(corners, image_size))
    corners = corners[:, :, drawn]
    triangle, start, length, depth, slope = _spans(corners, image_size)
    pixels, chosen = _nearest(start, length, depth, slope, image_size)
    triangle = triangle[chosen]
    row, column = np.divmod(pixels, image_size[1])
    # Of the visible pixels alone, at the end: most spans are hidden.
    weights = _barycentric(corners[:2, :, triangle], column, row)
    return pixels, drawn[triangle], weights


def _pixel_corners(vertices: NDArray[np.floating], image_size: tuple[int, int]) -> Floats:
    """Column, row and depth (3, V); integers are pixel centres, rows run down."""
    height, width = image_size
    x, y, z = vertices.astype(np.float64).T
    short = min(height, width)
    # As `camera.to_pixels`.
    return np.stack([(x * short + width - 1) / 2, (height - 1 - y * short) / 2, z])


def _doubled_area(corners: Floats) -> Floats:
    """Twice the area (F,) of triangles (3, 3, F), positive where they face the viewer."""
    (x, y, _), (u, v, _) = _sides(corners)
    # Rows run down, which turns the sense of rotation round: hence the sign.
    return np.asarray(y * u - x * v)


def _in_view(corners: Floats, image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which triangles (F,) reach into the picture and across the middle of a row of pixels."""
    (x, y), limits = corners[:2], np.array(image_size)[::-1]
    # Rows from ceil(top) up to but not including ceil(bottom): of two triangles that share a side
    # exactly one takes the row on it.
    crossed = np.ceil(y.min(axis=0)) < np.ceil(y.max(axis=0))
    inside = (y.max(axis=0) >= 0) & (y.min(axis=0) < limits[1])
    return np.asarray(crossed & inside & (x.max(axis=0) >= 0) & (x.min(axis=0) < limits[0]))


def _sides(corners: Floats) -> tuple[Floats, Floats]:
    """Vectors (3, F) from the first corner to the others."""
    return corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]


def _spans(corners: Floats, image_size: tuple[int, int]) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Runs of pixels of one triangle (3, 3, F) in one row each.

    Returns:
        Triangle (S,), first pixel (S,) as row * width + column, length (S,), depth (S,) at the
        first pixel, and its change (S,) from a pixel to the next.
    """
    height, width = image_size
    first = np.ceil(corners[1].min(axis=0)).clip(0, height).astype(np.int64)
    last = np.ceil(corners[1].max(axis=0)).clip(0, height).astype(np.int64)
    triangle, offset = _runs(last - first)
    row = first[triangle] + offset
    left, right = _crossings(corners, triangle, row)
    # The same rule for columns as for rows.
    column = np.ceil(left).clip(0, width).astype(np.int64)
    length = np.ceil(right).clip(0, width).astype(np.int64) - column
    full = np.flatnonzero(length > 0)
    triangle, row, column, length = (a[full] for a in (triangle, row, column, length))
    (x, y, z), (by_column, by_row) = corners[:, 0], _depth_slopes(corners)
    # The plane's depth at the origin; a span then needs one start and one slope.
    level = z - by_column * x - by_row * y
    slope = by_column[triangle]
    depth = level[triangle] + slope * column + by_row[triangle] * row
    return triangle, row * width + column, length, depth, slope


def _depth_slopes(corners: Floats) -> tuple[Floats, Floats]:
    """Change of depth per column and per row, (F,) each."""
    (x, y, z), (u, v, w) = _sides(corners)
    area = y * u - x * v
    return (y * w - v * z) / area, (u * z - x * w) / area


def _runs(counts: Ints) -> tuple[Ints, Ints]:
    """Owner and place within the owner (sum of counts,) of every item."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def _crossings(corners: Floats, triangle: Ints, row: Ints) -> tuple[Floats, Floats]:
    """Where rows enter and leave their triangles (S,), each side taken from its upper end down."""
    left, right = np.zeros(len(row)), np.zeros(len(row))
    for start, end in ((0, 1), (1, 2), (2, 0)):
        # Each side from its upper end down, whoever owns it: neighbours compute the very same
        # crossing, so no pixel is lost between them.
        descends = corners[1, start] < corners[1, end]
        upper = np.where(descends, corners[:2, start], corners[:2, end])
        lower = np.where(descends, corners[:2, end], corners[:2, start])
        slant = (lower[0] - upper[0]) / np.maximum(lower[1] - upper[1], 1e-12)
        met = np.flatnonzero((upper[1][triangle] <= row) & (row < lower[1][triangle]))
        at = triangle[met]
        x = upper[0][at] + (row[met] - upper[1][at]) * slant[at]
        # Front faces are counter-clockwise, on rows that run down: a side that descends is a left
        # one.
        enters = descends[at]
        left[met[enters]] = x[enters]
        right[met[~enters]] = x[~enters]
    return left, right


def _nearest(
    start: Ints, length: Ints, depth: Floats, slope: Floats, image_size: tuple[int, int]
) -> tuple[Ints, Ints]:
    """Covered pixels (N,), ascending, and the span that is nearest to the viewer in each."""
    owner, offset = _runs(length)
    pixel = start[owner] + offset
    depth = depth[owner] + slope[owner] * offset
    front = np.full(image_size[0] * image_size[1], -np.inf)
    # The z-buffer: greatest depth, which grows towards the viewer.
    np.maximum.at(front, pixel, depth)
    won = np.flatnonzero(depth == front[pixel])
    chosen = np.full(len(front), -1)
    # At equal depths the last span stays; spans are in the mesh's order, so it is always the same.
    chosen[pixel[won]] = owner[won]
    covered = np.flatnonzero(chosen >= 0)
    return covered, chosen[covered]


def _barycentric(corners: Floats, column: Ints, row: Ints) -> NDArray[np.float32]:
    """Weights (3, N) of points in triangles of corners (2, 3, N)."""
    x = (corners[0] - column).astype(np.float32)
    y = (corners[1] - row).astype(np.float32)
    areas = [x[j] * y[k] - x[k] * y[j] for j, k in ((1, 2), (2, 0), (0, 1))]
    whole = 1 / (areas[0] + areas[1] + areas[2])
    return np.array([np.clip(area * whole, 0, 1) for area in areas], np.float32)


def sample(picture: Singles, column: Singles, row: Singles) -> Singles:
    """Values (N, C) of a square picture (S, S, C) between its pixels, bilinear."""
    size = len(picture)
    places = (2.0 * np.stack([column, row], axis=-1) + 1.0) / size - 1.0
    found = torch.nn.functional.grid_sample(
        torch.from_numpy(picture).permute(2, 0, 1)[None],
        torch.from_numpy(places.astype(np.float32))[None, None],
        padding_mode="border",
        align_corners=False,
    )
    return np.asarray(found[0, :, 0].T.numpy(), np.float32)
