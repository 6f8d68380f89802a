"""The soft rasteriser's kernels on a GPU, in Triton: one triangle per thread.

A thread takes one triangle and walks over the pixels of its box; nothing is kept of a fragment.
What a triangle's corners receive in the backward pass stays in registers until the walk is over.

Numbers and order of operations are those of `geometry`, `rasterise` and `blend`, and
multiplications are not fused with additions (`softras_fused.FUSION`), so that every kernel finds
the same depth for a fragment and the nearest one is known by equality.
"""

from __future__ import annotations

import triton
import triton.language as tl

# Triton's types are of its own: addresses, sizes and block of values.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return"


@triton.jit
def load_corner(rows, vertex, keep, n_vertices):
    """x, y, depth, red, green and blue of vertices."""
    x = tl.load(rows + vertex, keep, 0.0)
    y = tl.load(rows + n_vertices + vertex, keep, 0.0)
    depth = tl.load(rows + 2 * n_vertices + vertex, keep, 0.0)
    red = tl.load(rows + 3 * n_vertices + vertex, keep, 0.0)
    green = tl.load(rows + 4 * n_vertices + vertex, keep, 0.0)
    blue = tl.load(rows + 5 * n_vertices + vertex, keep, 0.0)
    return x, y, depth, red, green, blue


@triton.jit
def triangle_corners(corners, n_triangles, block: tl.constexpr):
    """Vertices of this program's triangles, and which of the block have one."""
    # The last program has fewer triangles than threads; `keep` masks the rest.
    triangle = tl.program_id(0) * block + tl.arange(0, block)
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
    # As `Boxes.around`: the same pixels, or the sums would differ from the plain renderer's.
    start = tl.minimum(tl.maximum(tl.ceil(low), 0.0), size * 1.0)
    stop = tl.minimum(tl.maximum(tl.floor(high), -1.0), size - 1.0)
    return start.to(tl.int32), (stop - start).to(tl.int32) + 1


@triton.jit
def bounding_box(x0, y0, x1, y1, x2, y2, keep, least_area, margin, height, width):
    """Lowest left pixel, columns and number of pixels; none where the triangle is not drawn."""
    column, columns = _span(x0, x1, x2, margin, width)
    up, ups = _span(y0, y1, y2, margin, height)
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    drawn = keep & (columns > 0) & (ups > 0) & (tl.abs(area) > least_area)
    # 0 pixels: the walk below passes the triangle over.
    count = tl.where(drawn, columns * ups, 0)
    # At least 1: the division by columns happens in threads without a box as well.
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
def barycentric_at(x0, y0, x1, y1, x2, y2, area):
    """Coordinates of the pixel (0, 0); side k lies opposite vertex k."""
    b0 = (x1 * y2 - x2 * y1) / area
    b1 = (x2 * y0 - x0 * y2) / area
    b2 = (x0 * y1 - x1 * y0) / area
    return b0, b1, b2


@triton.jit
def clip_barycentric(b0, b1, b2, highest):
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
    # `_FAR_LOGIT` of `blend`: beyond it exp overflows for one sign.
    signed = tl.minimum(tl.maximum(signed, -60.0), 60.0)
    probability = 1.0 / (1.0 + tl.exp(-signed))
    return tl.where(probability > least, probability, 0.0)


@triton.jit
def shade_fragment(
    x0, y0, x1, y1, x2, y2, area, d0, d1, d2, highest, logit_scale, least, far, depth_scale
):
    """Clipped coordinates, D and ζ of the fragments at pixel (0, 0)."""
    b0, b1, b2 = barycentric_at(x0, y0, x1, y1, x2, y2, area)
    c0, c1, c2, _ = clip_barycentric(b0, b1, b2, highest)
    _, _, _, s0 = nearest_on_side(x1, y1, x2, y2)
    _, _, _, s1 = nearest_on_side(x2, y2, x0, y0)
    _, _, _, s2 = nearest_on_side(x0, y0, x1, y1)
    inside = tl.minimum(tl.minimum(b0, b1), b2) >= 0.0
    squared = tl.minimum(tl.minimum(s0, s1), s2)
    probability = _probability(squared, inside, logit_scale, least)
    zeta = (c0 * d0 + c1 * d1 + c2 * d2 - far) * depth_scale
    return c0, c1, c2, probability, zeta


@triton.jit
def find_nearest(
    rows, corners, nearest, n_vertices, n_triangles,
    height, width, margin, least_area, highest, logit_scale, least, far, depth_scale,
    block: tl.constexpr,
):  # fmt: skip
    """Raise `nearest` (B, H * W) to the largest ζ of the fragments that are not dropped."""
    image = tl.program_id(1)
    rows += image * 6 * n_vertices
    nearest += image * height * width
    first, second, third, keep = triangle_corners(corners, n_triangles, block)
    x0, y0, d0, _, _, _ = load_corner(rows, first, keep, n_vertices)
    x1, y1, d1, _, _, _ = load_corner(rows, second, keep, n_vertices)
    x2, y2, d2, _, _, _ = load_corner(rows, third, keep, n_vertices)
    column, up, columns, count, area = bounding_box(
        x0, y0, x1, y1, x2, y2, keep, least_area, margin, height, width
    )
    # As long as the largest box of the block; threads that are through idle. Neighbours in a mesh
    # have boxes of nearly one size, so few do.
    for step in range(tl.max(count, 0)):
        x = column + step % columns
        y = up + step // columns
        _, _, _, probability, zeta = shade_fragment(
            x0 - x, y0 - y, x1 - x, y1 - y, x2 - x, y2 - y, area, d0, d1, d2,
            highest, logit_scale, least, far, depth_scale,
        )  # fmt: skip
        # Rows run down, y up.
        pixel = (height - 1 - y) * width + x
        seen = (step < count) & (probability > 0.0)
        behind = seen & (zeta > tl.load(nearest + pixel, seen, 0.0))
        # Only where it raises the value: an atomic operation costs more than the look before it.
        # Floats above 0 order as their bits do.
        tl.atomic_max(nearest + pixel, zeta, behind)


@triton.jit
def add_fragments(
    rows, corners, nearest, sums, n_vertices, n_triangles, n_pixels,
    height, width, margin, least_area, highest, logit_scale, least, far, depth_scale,
    gamma, lowest, block: tl.constexpr,
):  # fmt: skip
    """Add to `sums` (6, B * H * W) what `blend` adds for every fragment."""
    image = tl.program_id(1)
    rows += image * 6 * n_vertices
    nearest += image * height * width
    sums += image * height * width
    first, second, third, keep = triangle_corners(corners, n_triangles, block)
    x0, y0, d0, r0, g0, l0 = load_corner(rows, first, keep, n_vertices)
    x1, y1, d1, r1, g1, l1 = load_corner(rows, second, keep, n_vertices)
    x2, y2, d2, r2, g2, l2 = load_corner(rows, third, keep, n_vertices)
    column, up, columns, count, area = bounding_box(
        x0, y0, x1, y1, x2, y2, keep, least_area, margin, height, width
    )
    for step in range(tl.max(count, 0)):
        x = column + step % columns
        y = up + step // columns
        c0, c1, c2, probability, zeta = shade_fragment(
            x0 - x, y0 - y, x1 - x, y1 - y, x2 - x, y2 - y, area, d0, d1, d2,
            highest, logit_scale, least, far, depth_scale,
        )  # fmt: skip
        pixel = (height - 1 - y) * width + x
        seen = (step < count) & (probability > 0.0)
        behind = zeta - tl.load(nearest + pixel, seen, 0.0)
        # As `lowest_exponent`: nothing sees a weight below it.
        weight = tl.exp(tl.maximum(behind / gamma, lowest)) * probability
        tl.atomic_add(sums + pixel, (c0 * r0 + c1 * r1 + c2 * r2) * weight, seen)
        tl.atomic_add(sums + n_pixels + pixel, (c0 * g0 + c1 * g1 + c2 * g2) * weight, seen)
        tl.atomic_add(sums + 2 * n_pixels + pixel, (c0 * l0 + c1 * l1 + c2 * l2) * weight, seen)
        tl.atomic_add(sums + 3 * n_pixels + pixel, weight, seen)
        tl.atomic_add(sums + 4 * n_pixels + pixel, tl.log(1.0 - probability), seen)
        # Counted, because tied fragments share the gradient of the largest ζ.
        tl.atomic_add(sums + 5 * n_pixels + pixel, 1.0, seen & (behind == 0.0))


@triton.jit
def _add_corner(gradient, vertex, keep, n_vertices, x, y, depth, red, green, blue):
    tl.atomic_add(gradient + vertex, x, keep)
    tl.atomic_add(gradient + n_vertices + vertex, y, keep)
    tl.atomic_add(gradient + 2 * n_vertices + vertex, depth, keep)
    tl.atomic_add(gradient + 3 * n_vertices + vertex, red, keep)
    tl.atomic_add(gradient + 4 * n_vertices + vertex, green, keep)
    tl.atomic_add(gradient + 5 * n_vertices + vertex, blue, keep)


@triton.jit
def _unclipped_gradient(gradient, raw, highest):
    """The gradient where clipping left the coordinate alone."""
    return tl.where((raw > 0.0) & (raw < highest), gradient, 0.0)


@triton.jit
def add_gradients(
    rows, corners, upstream, gradient, n_vertices, n_triangles, n_pixels,
    height, width, margin, least_area, highest, logit_scale, least, far, depth_scale,
    gamma, lowest, block: tl.constexpr,
):  # fmt: skip
    """Add to `gradient` (B, 6, V) the derivatives of the blend, from `upstream` (7, B * H * W)."""
    image = tl.program_id(1)
    rows += image * 6 * n_vertices
    gradient += image * 6 * n_vertices
    upstream += image * height * width
    first, second, third, keep = triangle_corners(corners, n_triangles, block)
    x0, y0, d0, r0, g0, l0 = load_corner(rows, first, keep, n_vertices)
    x1, y1, d1, r1, g1, l1 = load_corner(rows, second, keep, n_vertices)
    x2, y2, d2, r2, g2, l2 = load_corner(rows, third, keep, n_vertices)
    column, up, columns, count, area = bounding_box(
        x0, y0, x1, y1, x2, y2, keep, least_area, margin, height, width
    )
    # A float32 block of zeros; the loop's accumulators must keep one type.
    zero = x0 * 0.0
    on_x0, on_y0, on_d0, on_r0, on_g0, on_l0 = zero, zero, zero, zero, zero, zero
    on_x1, on_y1, on_d1, on_r1, on_g1, on_l1 = zero, zero, zero, zero, zero, zero
    on_x2, on_y2, on_d2, on_r2, on_g2, on_l2 = zero, zero, zero, zero, zero, zero
    for step in range(tl.max(count, 0)):
        x = column + step % columns
        y = up + step // columns
        p0, q0, p1, q1, p2, q2 = x0 - x, y0 - y, x1 - x, y1 - y, x2 - x, y2 - y
        c0, c1, c2, probability, zeta = shade_fragment(
            p0, q0, p1, q1, p2, q2, area, d0, d1, d2,
            highest, logit_scale, least, far, depth_scale,
        )  # fmt: skip
        pixel = (height - 1 - y) * width + x
        seen = (step < count) & (probability > 0.0)
        on_red = tl.load(upstream + pixel, seen, 0.0)
        on_green = tl.load(upstream + n_pixels + pixel, seen, 0.0)
        on_blue = tl.load(upstream + 2 * n_pixels + pixel, seen, 0.0)
        offset = tl.load(upstream + 3 * n_pixels + pixel, seen, 0.0)
        through_silhouette = tl.load(upstream + 4 * n_pixels + pixel, seen, 0.0)
        rise = tl.load(upstream + 5 * n_pixels + pixel, seen, 0.0)
        behind = zeta - tl.load(upstream + 6 * n_pixels + pixel, seen, 0.0)
        weight = tl.exp(tl.maximum(behind / gamma, lowest)) * probability
        # A thread past its box reads zeros for the image's gradients, but its weight may be
        # infinite: 0 x inf would enter its sums.
        weight = tl.where(seen, weight, 0.0)

        on_red *= weight
        on_green *= weight
        on_blue *= weight
        on_c0 = on_red * r0 + on_green * g0 + on_blue * l0
        on_c1 = on_red * r1 + on_green * g1 + on_blue * l1
        on_c2 = on_red * r2 + on_green * g2 + on_blue * l2
        # A weight's gain: the colour it brings less what the whole sum loses.
        gain = on_c0 * c0 + on_c1 * c1 + on_c2 * c2 - weight * offset
        on_depth = (gain / gamma + tl.where(behind == 0.0, rise, 0.0)) * depth_scale
        on_squared = gain * (1.0 - probability) + through_silhouette * probability
        # The silhouette's part is not weighted, so it needs its own mask.
        on_squared = tl.where(seen, on_squared * logit_scale, 0.0)
        on_c0 += d0 * on_depth
        on_c1 += d1 * on_depth
        on_c2 += d2 * on_depth

        on_d0 += c0 * on_depth
        on_d1 += c1 * on_depth
        on_d2 += c2 * on_depth
        on_r0 += c0 * on_red
        on_r1 += c1 * on_red
        on_r2 += c2 * on_red
        on_g0 += c0 * on_green
        on_g1 += c1 * on_green
        on_g2 += c2 * on_green
        on_l0 += c0 * on_blue
        on_l1 += c1 * on_blue
        on_l2 += c2 * on_blue

        b0, b1, b2 = barycentric_at(p0, q0, p1, q1, p2, q2, area)
        _, _, _, total = clip_barycentric(b0, b1, b2, highest)
        # Through the division by the clipped coordinates' sum, then through the clipping, then
        # through the division by the triangle's area, as `Windows.barycentric_gradient`.
        mean = on_c0 * c0 + on_c1 * c1 + on_c2 * c2
        on_b0 = _unclipped_gradient((on_c0 - mean) / total, b0, highest)
        on_b1 = _unclipped_gradient((on_c1 - mean) / total, b1, highest)
        on_b2 = _unclipped_gradient((on_c2 - mean) / total, b2, highest)
        mean = on_b0 * b0 + on_b1 * b1 + on_b2 * b2
        on_b0 = (on_b0 - mean) / area
        on_b1 = (on_b1 - mean) / area
        on_b2 = (on_b2 - mean) / area
        # Coordinate k is a cross product of the two other corners, seen from the pixel.
        on_x0 += on_b2 * q1 - on_b1 * q2
        on_y0 += on_b1 * p2 - on_b2 * p1
        on_x1 += on_b0 * q2 - on_b2 * q0
        on_y1 += on_b2 * p0 - on_b0 * p2
        on_x2 += on_b1 * q0 - on_b0 * q1
        on_y2 += on_b0 * p1 - on_b1 * p0

        t0, to_x0, to_y0, s0 = nearest_on_side(p1, q1, p2, q2)
        t1, to_x1, to_y1, s1 = nearest_on_side(p2, q2, p0, q0)
        t2, to_x2, to_y2, s2 = nearest_on_side(p0, q0, p1, q1)
        # The nearest side alone carries the distance; at ties the first one, as `one_lowest`.
        inside = tl.minimum(tl.minimum(b0, b1), b2) >= 0.0
        on_distance = 2.0 * tl.where(inside, on_squared, -on_squared)
        # On the outline itself the distance is 0 and has no direction.
        on_distance = tl.where(tl.minimum(tl.minimum(s0, s1), s2) > 0.0, on_distance, 0.0)
        on_side0 = tl.where(s0 <= tl.minimum(s1, s2), on_distance, 0.0)
        on_side1 = tl.where(s0 <= tl.minimum(s1, s2), 0.0, tl.where(s1 <= s2, on_distance, 0.0))
        on_side2 = tl.where((s0 <= tl.minimum(s1, s2)) | (s1 <= s2), 0.0, on_distance)
        on_x0 += on_side1 * to_x1 * t1 + on_side2 * to_x2 * (1.0 - t2)
        on_y0 += on_side1 * to_y1 * t1 + on_side2 * to_y2 * (1.0 - t2)
        on_x1 += on_side2 * to_x2 * t2 + on_side0 * to_x0 * (1.0 - t0)
        on_y1 += on_side2 * to_y2 * t2 + on_side0 * to_y0 * (1.0 - t0)
        on_x2 += on_side0 * to_x0 * t0 + on_side1 * to_x1 * (1.0 - t1)
        on_y2 += on_side0 * to_y0 * t0 + on_side1 * to_y1 * (1.0 - t1)
    drawn = count > 0
    # Once per triangle, after the walk: an atomic addition per fragment would be hundreds of times
    # as many.
    _add_corner(gradient, first, drawn, n_vertices, on_x0, on_y0, on_d0, on_r0, on_g0, on_l0)
    _add_corner(gradient, second, drawn, n_vertices, on_x1, on_y1, on_d1, on_r1, on_g1, on_l1)
    _add_corner(gradient, third, drawn, n_vertices, on_x2, on_y2, on_d2, on_r2, on_g2, on_l2)
