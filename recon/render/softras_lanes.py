"""What a triangle and a pixel are to each other, as Triton's kernels work it out: one a lane.

Numbers and order of operations are those of `geometry`, `rasterise` and `blend`.
"""

# Triton's types are of its own: addresses, sizes and lanes of values.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def corner_of(rows, vertex, keep, n_vertices):
    """x, y, depth, red, green and blue of vertices."""
    x = tl.load(rows + vertex, keep, 0.0)
    y = tl.load(rows + n_vertices + vertex, keep, 0.0)
    depth = tl.load(rows + 2 * n_vertices + vertex, keep, 0.0)
    red = tl.load(rows + 3 * n_vertices + vertex, keep, 0.0)
    green = tl.load(rows + 4 * n_vertices + vertex, keep, 0.0)
    blue = tl.load(rows + 5 * n_vertices + vertex, keep, 0.0)
    return x, y, depth, red, green, blue


@triton.jit
def triangle_corners(corners, n_triangles, lanes: tl.constexpr):
    """Vertices of this program's triangles, and which lanes have one."""
    triangle = tl.program_id(0) * lanes + tl.arange(0, lanes)
    keep = triangle < n_triangles
    first = tl.load(corners + triangle, keep, 0)
    second = tl.load(corners + n_triangles + triangle, keep, 0)
    third = tl.load(corners + 2 * n_triangles + triangle, keep, 0)
    return first, second, third, keep


@triton.jit
def _span(first, second, third, margin, size):
    """First pixel, and how many, of a box along one axis."""
    low = tl.minimum(tl.minimum(first, second), third) - margin
    high = tl.maximum(tl.maximum(first, second), third) + margin
    start = tl.minimum(tl.maximum(tl.ceil(low), 0.0), size * 1.0)
    stop = tl.minimum(tl.maximum(tl.floor(high), -1.0), size - 1.0)
    return start.to(tl.int32), (stop - start).to(tl.int32) + 1


@triton.jit
def box_of(x0, y0, x1, y1, x2, y2, keep, least_area, margin, height, width):
    """Lowest left pixel, columns and number of pixels; none where the triangle is not drawn."""
    column, columns = _span(x0, x1, x2, margin, width)
    up, ups = _span(y0, y1, y2, margin, height)
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    drawn = keep & (columns > 0) & (ups > 0) & (tl.abs(area) > least_area)
    count = tl.where(drawn, columns * ups, 0)
    return column, up, tl.maximum(columns, 1), count, area


@triton.jit
def nearest_on_side(start_x, start_y, end_x, end_y):
    """Share along a side, vector and squared distance to its point nearest to the pixel (0, 0)."""
    along_x = end_x - start_x
    along_y = end_y - start_y
    share = -(start_x * along_x + start_y * along_y) / (along_x * along_x + along_y * along_y)
    share = tl.minimum(tl.maximum(share, 0.0), 1.0)
    to_x = start_x + share * along_x
    to_y = start_y + share * along_y
    return share, to_x, to_y, to_x * to_x + to_y * to_y


@triton.jit
def barycentric_of(x0, y0, x1, y1, x2, y2, area):
    """Coordinates of the pixel (0, 0); side k lies opposite vertex k."""
    b0 = (x1 * y2 - x2 * y1) / area
    b1 = (x2 * y0 - x0 * y2) / area
    b2 = (x0 * y1 - x1 * y0) / area
    return b0, b1, b2


@triton.jit
def clipped_to(b0, b1, b2, highest):
    """Coordinates drawn back into the triangle, and what they summed to before."""
    b0 = tl.minimum(tl.maximum(b0, 0.0), highest)
    b1 = tl.minimum(tl.maximum(b1, 0.0), highest)
    b2 = tl.minimum(tl.maximum(b2, 0.0), highest)
    total = b0 + b1 + b2
    return b0 / total, b1 / total, b2 / total, total


@triton.jit
def _probability(squared, inside, logit_scale, least):
    """D of a squared distance; 0 where it does not exceed the least."""
    signed = tl.where(inside, squared, -squared) * logit_scale
    signed = tl.minimum(tl.maximum(signed, -60.0), 60.0)
    probability = 1.0 / (1.0 + tl.exp(-signed))
    return tl.where(probability > least, probability, 0.0)


@triton.jit
def meet_pixel(
    x0, y0, x1, y1, x2, y2, area, d0, d1, d2, highest, logit_scale, least, far, depth_scale
):
    """Clipped coordinates, D and ζ of the fragments at pixel (0, 0)."""
    b0, b1, b2 = barycentric_of(x0, y0, x1, y1, x2, y2, area)
    c0, c1, c2, _ = clipped_to(b0, b1, b2, highest)
    _, _, _, s0 = nearest_on_side(x1, y1, x2, y2)
    _, _, _, s1 = nearest_on_side(x2, y2, x0, y0)
    _, _, _, s2 = nearest_on_side(x0, y0, x1, y1)
    inside = tl.minimum(tl.minimum(b0, b1), b2) >= 0.0
    squared = tl.minimum(tl.minimum(s0, s1), s2)
    probability = _probability(squared, inside, logit_scale, least)
    zeta = (c0 * d0 + c1 * d1 + c2 * d2 - far) * depth_scale
    return c0, c1, c2, probability, zeta
