"""A canonical frame and order of a surface: principal axes and a space-filling curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .similarity import Similarity
from .triangles import Float64Array, IndexArray, lexicographic_order

CELLS = 2**21  # Along each axis: three such numbers have 63 bits.
FILLED = 0.3  # Share of the cells along an axis that a surface fills, on either side of its centre.
# Of a surface in the box of cells: no plane of symmetry then lies where cells meet, where
# rounding would decide on which side its points are.
CENTRE = np.array([0.5303, 0.4711, 0.5059])
_SPREAD_BITS = (
    (32, 0x001F00000000FFFF),
    (16, 0x001F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


def principal_frame(corners: Float64Array, areas: Float64Array) -> Similarity:
    """The rigid motion of a surface's centre to the origin and of its principal axes to x, y, z.

    By the moments of the surface, so that the frame does not depend on how it is cut into
    triangles. Of each axis the sign gives the longer tail to the positive side; the axis of the
    least skewness takes the sign that makes a rotation.

    Args:
        corners: (3, 3, F) of the triangles, see `corners_of`; without any, the frame is the one
            they are in.
        areas: (F,).
    """
    if not len(areas):
        return Similarity.identity()
    shares = areas / areas.sum()
    middles = corners.sum(0) / 3
    centre = middles @ shares
    middles -= centre[:, None]
    offsets = corners - centre[:, None]
    # Of a triangle: a quarter of the moment of its corners, three quarters of that of its middle.
    moments = 3 * (middles * shares) @ middles.T
    moments += sum((offset * shares) @ offset.T for offset in offsets) / 3
    axes = np.linalg.eigh(moments)[1].T
    along = axes @ offsets
    skewness = (along * along * along).sum(0) @ shares
    axes = axes * np.where(skewness < 0, -1.0, 1.0)[:, None]
    axes[np.abs(skewness).argmin()] *= np.sign(np.linalg.det(axes))
    return Similarity(1.0, axes, -axes @ centre)


def weld(
    vertices: Float64Array, triangles: IndexArray, frame: Similarity
) -> tuple[Float64Array, Float64Array, IndexArray]:
    """Distinct positions of corners in the order of Morton's curve, and where each vertex went.

    Every so many-th of them are spread as evenly as all are, and neighbours are near in memory.

    Args:
        vertices: (V, 3).
        triangles: (F, 3).
        frame: to the surface's own frame, in which the curve runs.

    Returns:
        (N, 3) positions, the same in the frame, and (V,) indices into them, -1 for a vertex that is
        no corner.
    """
    is_used = np.zeros(len(vertices), bool)
    is_used[triangles] = True
    used = np.flatnonzero(is_used)
    local = placed(vertices[used], frame)
    order, is_new = _along_curve(local)
    vertex_of = np.full(len(vertices), -1)
    vertex_of[used[order]] = np.cumsum(is_new) - 1
    distinct = order[is_new]
    return vertices[used[distinct]], local[distinct], vertex_of


def placed(points: Float64Array, frame: Similarity) -> Float64Array:
    """Points (N, 3) in a frame, equal for equal points, as a matrix product does not promise."""
    x, y, z = points.T[:, :, None]
    along_x, along_y, along_z = frame.rotation.T
    return np.asarray(x * along_x + y * along_y + z * along_z + frame.translation)


def canonical_triangles(triangles: IndexArray, count: int) -> IndexArray:
    """Triangles (F, 3) of so many vertices, the smallest corner of each first, in ascending order.

    What is summed, drawn or searched in this order is the same to the last bit however the file
    lists them. In time linear in F.
    """
    first = triangles.argmin(1)
    # Turned, never mirrored: the sense in which the corners go round is the surface's outside.
    turned = triangles[np.arange(len(triangles))[:, None], (first[:, None] + np.arange(3)) % 3]
    return np.asarray(turned[lexicographic_order(turned.T, count)])


def along_own_curve(points: Float64Array) -> IndexArray:
    """The order of points (N, 3) along the curve in the frame of their own principal axes.

    The frame is theirs alone: how the surface goes on around them has no part in it.
    """
    centre = points.mean(0)
    offsets = points - centre
    axes = np.linalg.eigh(offsets.T @ offsets)[1].T
    along = offsets @ axes.T
    skewness = (along * along * along).sum(0)
    axes = axes * np.where(skewness < 0, -1.0, 1.0)[:, None]
    axes[np.abs(skewness).argmin()] *= np.sign(np.linalg.det(axes))
    return _along_curve(placed(points, Similarity(1.0, axes, -axes @ centre)))[0]


def _along_curve(local: Float64Array) -> tuple[IndexArray, NDArray[np.bool_]]:
    """The order of points (N, 3) along the curve, and which (N,) of them so ordered are new.

    Equal points are together, and only the first of them is new.
    """
    code = _code(local)
    order = np.argsort(code)
    code = code[order]
    is_new = np.ones(len(order), bool)
    same = np.flatnonzero(code[1:] == code[:-1])
    if len(same):
        tied = np.union1d(same, same + 1)
        rows = order[tied]
        order[tied] = rows[np.lexsort((*local[rows].T, code[tied]))]
        is_new[same + 1] = (local[order[same + 1]] != local[order[same]]).any(1)
    return order, is_new


def _code(local: Float64Array) -> NDArray[np.uint64]:
    """Morton's code (N,) of points (N, 3): the bits of their cells along each axis in turn."""
    span = np.ptp(local, axis=0).max() if len(local) else 0.0
    cells = local * (FILLED * CELLS / (span or 1.0)) + CENTRE * CELLS
    x, y, z = (_every_third_bit(cells[:, axis].astype(np.uint64)) for axis in range(3))
    return np.asarray(x | (y << np.uint64(1)) | (z << np.uint64(2)))


def _every_third_bit(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """21 bits of each number with two zeros between."""
    for shift, mask in _SPREAD_BITS:
        numbers = (numbers | (numbers << np.uint64(shift))) & np.uint64(mask)
    return numbers
