"""The soft rasteriser's fragments on a GPU, in Triton.

A lane takes one triangle and walks over the pixels of its box; nothing is kept of a fragment. What
a triangle's corners receive in the backward pass stays in registers until the walk is over.

Numbers and order of operations are those of `geometry`, `rasterise`, `blend` and `blend_gradient`,
and multiplications are not fused with additions (`FUSION`), so that every kernel finds the same
depth for a fragment and the nearest one is known by equality.
"""

# Triton's types are of its own: addresses, sizes and lanes of values.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

import triton
import triton.language as tl

from .softras_lanes import (
    barycentric_of,
    box_of,
    clipped_to,
    corner_of,
    meet_pixel,
    nearest_on_side,
    triangle_corners,
)

TRIANGLES = 128
"""Triangles of one program, one a lane."""

FUSION = False
"""Given to every launch as `enable_fp_fusion`."""


@triton.jit
def find_nearest(
    rows,
    corners,
    nearest,
    n_vertices,
    n_triangles,
    height,
    width,
    margin,
    least_area,
    highest,
    logit_scale,
    least,
    far,
    depth_scale,
    lanes: tl.constexpr,
):
    """Raise `nearest` (B, H * W) to the largest ζ of the fragments that are not dropped."""
    image = tl.program_id(1)
    rows += image * 6 * n_vertices
    nearest += image * height * width
    first, second, third, keep = triangle_corners(corners, n_triangles, lanes)
    x0, y0, d0, _, _, _ = corner_of(rows, first, keep, n_vertices)
    x1, y1, d1, _, _, _ = corner_of(rows, second, keep, n_vertices)
    x2, y2, d2, _, _, _ = corner_of(rows, third, keep, n_vertices)
    column, up, columns, count, area = box_of(
        x0, y0, x1, y1, x2, y2, keep, least_area, margin, height, width
    )
    for step in range(0, tl.max(count, 0)):
        x = column + step % columns
        y = up + step // columns
        _, _, _, probability, zeta = meet_pixel(
            x0 - x, y0 - y, x1 - x, y1 - y, x2 - x, y2 - y, area, d0, d1, d2,
            highest, logit_scale, least, far, depth_scale,
        )  # fmt: skip
        pixel = (height - 1 - y) * width + x
        seen = (step < count) & (probability > 0.0)
        behind = seen & (zeta > tl.load(nearest + pixel, seen, 0.0))
        tl.atomic_max(nearest + pixel, zeta, behind)


@triton.jit
def add_fragments(
    rows,
    corners,
    nearest,
    sums,
    n_vertices,
    n_triangles,
    n_pixels,
    height,
    width,
    margin,
    least_area,
    highest,
    logit_scale,
    least,
    far,
    depth_scale,
    gamma,
    lowest,
    lanes: tl.constexpr,
):
    """Add to `sums` (6, B * H * W) what `blend` adds for every fragment."""
    image = tl.program_id(1)
    rows += image * 6 * n_vertices
    nearest += image * height * width
    sums += image * height * width
    first, second, third, keep = triangle_corners(corners, n_triangles, lanes)
    x0, y0, d0, r0, g0, l0 = corner_of(rows, first, keep, n_vertices)
    x1, y1, d1, r1, g1, l1 = corner_of(rows, second, keep, n_vertices)
    x2, y2, d2, r2, g2, l2 = corner_of(rows, third, keep, n_vertices)
    column, up, columns, count, area = box_of(
        x0, y0, x1, y1, x2, y2, keep, least_area, margin, height, width
    )
    for step in range(0, tl.max(count, 0)):
        x = column + step % columns
        y = up + step // columns
        c0, c1, c2, probability, zeta = meet_pixel(
            x0 - x, y0 - y, x1 - x, y1 - y, x2 - x, y2 - y, area, d0, d1, d2,
            highest, logit_scale, least, far, depth_scale,
        )  # fmt: skip
        pixel = (height - 1 - y) * width + x
        seen = (step < count) & (probability > 0.0)
        behind = zeta - tl.load(nearest + pixel, seen, 0.0)
        weight = tl.exp(tl.maximum(behind / gamma, lowest)) * probability
        tl.atomic_add(sums + pixel, (c0 * r0 + c1 * r1 + c2 * r2) * weight, seen)
        tl.atomic_add(sums + n_pixels + pixel, (c0 * g0 + c1 * g1 + c2 * g2) * weight, seen)
        tl.atomic_add(sums + 2 * n_pixels + pixel, (c0 * l0 + c1 * l1 + c2 * l2) * weight, seen)
        tl.atomic_add(sums + 3 * n_pixels + pixel, weight, seen)
        tl.atomic_add(sums + 4 * n_pixels + pixel, tl.log(1.0 - probability), seen)
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
def _passed(gradient, raw, highest):
    """The gradient where clipping left the coordinate alone."""
    return tl.where((raw > 0.0) & (raw < highest), gradient, 0.0)


@triton.jit
def add_gradients(
    rows,
    corners,
    upstream,
    gradient,
    n_vertices,
    n_triangles,
    n_pixels,
    height,
    width,
    margin,
    least_area,
    highest,
    logit_scale,
    least,
    far,
    depth_scale,
    gamma,
    lowest,
    lanes: tl.constexpr,
):
    """Add to `gradient` (B, 6, V) the derivatives of the blend, from `upstream` (7, B * H * W)."""
    image = tl.program_id(1)
    rows += image * 6 * n_vertices
    gradient += image * 6 * n_vertices
    upstream += image * height * width
    first, second, third, keep = triangle_corners(corners, n_triangles, lanes)
    x0, y0, d0, r0, g0, l0 = corner_of(rows, first, keep, n_vertices)
    x1, y1, d1, r1, g1, l1 = corner_of(rows, second, keep, n_vertices)
    x2, y2, d2, r2, g2, l2 = corner_of(rows, third, keep, n_vertices)
    column, up, columns, count, area = box_of(
        x0, y0, x1, y1, x2, y2, keep, least_area, margin, height, width
    )
    zero = x0 * 0.0
    on_x0, on_y0, on_d0, on_r0, on_g0, on_l0 = zero, zero, zero, zero, zero, zero
    on_x1, on_y1, on_d1, on_r1, on_g1, on_l1 = zero, zero, zero, zero, zero, zero
    on_x2, on_y2, on_d2, on_r2, on_g2, on_l2 = zero, zero, zero, zero, zero, zero
    for step in range(0, tl.max(count, 0)):
        x = column + step % columns
        y = up + step // columns
        p0, q0, p1, q1, p2, q2 = x0 - x, y0 - y, x1 - x, y1 - y, x2 - x, y2 - y
        c0, c1, c2, probability, zeta = meet_pixel(
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
        weight = tl.where(seen, weight, 0.0)

        on_red *= weight
        on_green *= weight
        on_blue *= weight
        on_c0 = on_red * r0 + on_green * g0 + on_blue * l0
        on_c1 = on_red * r1 + on_green * g1 + on_blue * l1
        on_c2 = on_red * r2 + on_green * g2 + on_blue * l2
        gain = on_c0 * c0 + on_c1 * c1 + on_c2 * c2 - weight * offset
        on_depth = (gain / gamma + tl.where(behind == 0.0, rise, 0.0)) * depth_scale
        on_squared = gain * (1.0 - probability) + through_silhouette * probability
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

        b0, b1, b2 = barycentric_of(p0, q0, p1, q1, p2, q2, area)
        _, _, _, total = clipped_to(b0, b1, b2, highest)
        mean = on_c0 * c0 + on_c1 * c1 + on_c2 * c2
        on_b0 = _passed((on_c0 - mean) / total, b0, highest)
        on_b1 = _passed((on_c1 - mean) / total, b1, highest)
        on_b2 = _passed((on_c2 - mean) / total, b2, highest)
        mean = on_b0 * b0 + on_b1 * b1 + on_b2 * b2
        on_b0 = (on_b0 - mean) / area
        on_b1 = (on_b1 - mean) / area
        on_b2 = (on_b2 - mean) / area
        on_x0 += on_b2 * q1 - on_b1 * q2
        on_y0 += on_b1 * p2 - on_b2 * p1
        on_x1 += on_b0 * q2 - on_b2 * q0
        on_y1 += on_b2 * p0 - on_b0 * p2
        on_x2 += on_b1 * q0 - on_b0 * q1
        on_y2 += on_b0 * p1 - on_b1 * p0

        t0, to_x0, to_y0, s0 = nearest_on_side(p1, q1, p2, q2)
        t1, to_x1, to_y1, s1 = nearest_on_side(p2, q2, p0, q0)
        t2, to_x2, to_y2, s2 = nearest_on_side(p0, q0, p1, q1)
        inside = tl.minimum(tl.minimum(b0, b1), b2) >= 0.0
        pull = 2.0 * tl.where(inside, on_squared, -on_squared)
        pull = tl.where(tl.minimum(tl.minimum(s0, s1), s2) > 0.0, pull, 0.0)
        pull0 = tl.where(s0 <= tl.minimum(s1, s2), pull, 0.0)
        pull1 = tl.where(s0 <= tl.minimum(s1, s2), 0.0, tl.where(s1 <= s2, pull, 0.0))
        pull2 = tl.where((s0 <= tl.minimum(s1, s2)) | (s1 <= s2), 0.0, pull)
        on_x0 += pull1 * to_x1 * t1 + pull2 * to_x2 * (1.0 - t2)
        on_y0 += pull1 * to_y1 * t1 + pull2 * to_y2 * (1.0 - t2)
        on_x1 += pull2 * to_x2 * t2 + pull0 * to_x0 * (1.0 - t0)
        on_y1 += pull2 * to_y2 * t2 + pull0 * to_y0 * (1.0 - t0)
        on_x2 += pull0 * to_x0 * t0 + pull1 * to_x1 * (1.0 - t1)
        on_y2 += pull0 * to_y0 * t0 + pull1 * to_y1 * (1.0 - t1)
    drawn = count > 0
    _add_corner(gradient, first, drawn, n_vertices, on_x0, on_y0, on_d0, on_r0, on_g0, on_l0)
    _add_corner(gradient, second, drawn, n_vertices, on_x1, on_y1, on_d1, on_r1, on_g1, on_l1)
    _add_corner(gradient, third, drawn, n_vertices, on_x2, on_y2, on_d2, on_r2, on_g2, on_l2)
