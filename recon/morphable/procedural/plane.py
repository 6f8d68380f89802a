"""A graded triangulation of the unrolled face: dense where features are, coarse at the back.

Works on the half plane p >= 0 and mirrors it, so the mesh is exactly symmetric. Points lie in the
plane of `head.unroll`, in mm; all stages round to a fixed grid so that the last bits of a CPU's
arithmetic cannot change which triangles come out.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree

from .head import Array, norm

Triangles = NDArray[np.int64]

OUTLINE_CENTRE = np.array([0.0, 15.0])
OUTLINE_RADII = np.array([172.0, 126.0])
_POWER = 3

_ROUNDS = 8
_STEPS_A_ROUND = 3
_STEP = 0.25
_PRESSURE = 1.15
_TOO_NEAR = 0.55
_ON_CURVE = 0.3
_GRID = 2.0**12
_FINEST, _COARSEST = 0.85, 5.2
_GROWTH = 0.075
_ZONES = (
    (0.85, (33.5, 29.0), (14.0, 4.0)),
    (1.30, (33.0, 45.0), (19.0, 3.0)),
    (0.95, (11.0, -36.0), (16.0, 6.0)),
    (0.90, (7.0, -15.0), (7.0, 3.0)),
    (1.15, (8.0, -9.0), (9.0, 9.0)),
    (2.00, (20.0, 5.0), (26.0, 45.0)),
    (2.40, (25.0, -84.0), (42.0, 9.0)),
    (3.40, (147.0, 22.0), (12.0, 28.0)),
)
"""Element size inside a box, its centre and half widths: eye, brow, mouth, nostril, nose, the
middle of the face, jaw line, ear."""


def element_size(points: Array) -> Array:
    """Relative edge length (N,) wanted at (N, 2) points with p >= 0."""
    points = np.asfortranarray(points)
    sizes = [size + _GROWTH * _outside(points, centre, half) for size, centre, half in _ZONES]
    size: Array = np.minimum.reduce([*sizes, np.full(len(points), _COARSEST)])
    return size


def scale_for(n_vertices: int) -> float:
    """Millimetres of a relative size of 1 with which about `n_vertices` fill both halves."""
    lattice = np.stack(np.meshgrid(np.arange(0.5, 173.0), np.arange(-115.5, 142.0)), axis=-1)
    lattice = lattice.reshape(-1, 2)
    lattice = lattice[_level(lattice) < 1.0]
    # An equilateral triangle of side s has sqrt(3)/4 s² and half a vertex.
    density = 2.0 / (np.sqrt(3.0) * element_size(lattice) ** 2)
    return float(np.sqrt(2.0 * density.sum() / n_vertices))


def triangulate(anchors: Array, curves: list[Array], n_vertices: int) -> tuple[Array, Triangles]:
    """Mesh of the half plane with anchors as vertices and points along curves.

    Gives points (N, 2) with p >= 0, the anchors first and in order, and triangles (F, 3),
    counter-clockwise.

    Args:
        anchors: (A, 2) points that must be vertices, p >= 0 and exactly 0 on the middle line.
        curves: dense (M, 2) polylines that triangle edges should follow, in order of importance.
        n_vertices: wanted number of vertices of both halves together.
    """
    scale = scale_for(n_vertices)
    # Earlier curves win where two crowd each other, so lids and lips come before the outline.
    fixed = _round(anchors)
    for curve in [*curves, _middle(), _outline()]:
        for piece in _split_at(curve, fixed[: len(anchors)]):
            fixed = _add_apart(fixed, _resample(piece, scale), scale)
    on_middle = int((fixed[:, 0] == 0).sum())
    free = (n_vertices - 2 * len(fixed) + on_middle) // 2
    points = _relax(fixed, _scatter(fixed, free, scale), scale)
    return points, _delaunay(points)


def mirror(half: Array, triangles: Triangles) -> tuple[Array, Triangles, NDArray[np.int64]]:
    """Points (V, 2) and triangles (F, 3) of both halves, and (V,) each vertex's mirror image."""
    n = len(half)
    # Vertices on the middle line are their own image: doubling them would tear the mesh there.
    off = np.flatnonzero(half[:, 0] > 0)
    twin = np.arange(n)
    twin[off] = n + np.arange(len(off))
    points = np.vstack([half, half[off] * [-1.0, 1.0]])
    # Reversed corners: a mirror image winds the other way round.
    triangles = np.vstack([triangles, twin[triangles][:, ::-1]])
    partner = np.concatenate([twin, off])
    return points, triangles, partner


def _outside(points: Array, centre: tuple[float, float], half: tuple[float, float]) -> Array:
    return norm(np.maximum(np.abs(points - np.array(centre)) - np.array(half), 0.0))


def _level(points: Array) -> Array:
    scaled = np.abs(points - OUTLINE_CENTRE) / OUTLINE_RADII
    level: Array = np.cbrt((scaled**_POWER).sum(axis=1))
    return level


def _outline() -> Array:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 2000)
    ray = np.column_stack([np.cos(angle), np.sin(angle)])
    ray[[0, -1], 0] = 0.0
    unit = ray * OUTLINE_RADII
    border: Array = OUTLINE_CENTRE + unit / _level(OUTLINE_CENTRE + unit)[:, None]
    return border


def _middle() -> Array:
    low, high = OUTLINE_CENTRE[1] - OUTLINE_RADII[1], OUTLINE_CENTRE[1] + OUTLINE_RADII[1]
    heights = np.linspace(low, high, 2000)
    return np.column_stack([np.zeros_like(heights), heights])


def _split_at(curve: Array, anchors: Array) -> list[Array]:
    """Pieces of a polyline between the anchors it runs through, so that each is evenly divided."""
    away, nearest = cKDTree(curve).query(anchors)
    through = np.asarray(nearest)[np.less(away, _ON_CURVE)]
    stops = np.unique(np.concatenate([[0, len(curve) - 1], through]))
    return [curve[a : b + 1] for a, b in pairwise(stops)]


def _resample(curve: Array, scale: float) -> Array:
    """Points along a polyline, one element size apart, both ends kept."""
    lengths = norm(np.diff(curve, axis=0))
    sizes = scale * element_size((curve[1:] + curve[:-1]) / 2)
    steps = np.concatenate([[0.0], np.cumsum(lengths / sizes)])
    count = max(int(np.round(steps[-1])), 1)
    at = np.linspace(0.0, steps[-1], count + 1)
    return np.column_stack([np.interp(at, steps, curve[:, k]) for k in (0, 1)])


def _add_apart(fixed: Array, points: Array, scale: float) -> Array:
    """Fixed points and those of the new ones that crowd neither them nor an earlier new one."""
    points = _round(points)
    apart = _TOO_NEAR * scale * element_size(points)
    # The least distance of all for the pairs: exact sizes matter only against fixed points.
    crowded = cKDTree(points).query_pairs(float(apart.min()), output_type="ndarray")
    near, _ = cKDTree(fixed).query(points)
    kept = near > apart
    kept[crowded[:, 1]] = False
    return np.vstack([fixed, points[kept]])


def _scatter(fixed: Array, count: int, scale: float) -> Array:
    """The first `count` points of a low-discrepancy sequence, thinned to the element size."""
    # The plastic number's sibling in three dimensions (Roberts 2018): evener than chance, no seed.
    root = 1.2207440846057596
    index = np.arange(1, 60 * count + 20000)
    draws = [(0.5 + index * root**-k) % 1.0 for k in (1, 2, 3)]
    low, high = OUTLINE_CENTRE - OUTLINE_RADII, OUTLINE_CENTRE + OUTLINE_RADII
    points = _round(np.column_stack([draws[0] * high[0], low[1] + draws[1] * (high - low)[1]]))
    size = element_size(points)
    # Rejection by wanted density: fine places take every point, coarse ones a few.
    kept = (draws[2] * (size / _FINEST) ** 2 < 1.0) & (_level(points) < 0.985)
    points, size = points[kept], size[kept] * scale
    near, _ = cKDTree(fixed).query(points)
    free: Array = points[(near > 0.7 * size) & (points[:, 0] > 0.5 * size)]
    return free[:count]


def _relax(fixed: Array, free: Array, scale: float) -> Array:
    """Let springs between neighbours push the free points to their wanted distances."""
    points = np.vstack([fixed, free])
    for _ in range(_ROUNDS):
        edges = _edges(_delaunay(points))
        for _ in range(_STEPS_A_ROUND):
            moved = points[len(fixed) :] + _STEP * _forces(points, edges)[len(fixed) :]
            points = np.vstack([fixed, _round(_keep_inside(moved, scale))])
    return points


def _forces(points: Array, edges: NDArray[np.int64]) -> Array:
    bars = points[edges[:, 0]] - points[edges[:, 1]]
    length = np.maximum(norm(bars), 1e-6)
    size = element_size((points[edges[:, 0]] + points[edges[:, 1]]) / 2)
    # Springs push only, and a little too much: under pressure points fill the plane evenly.
    wanted = size * _PRESSURE * np.sqrt((length**2).sum() / (size**2).sum())
    push = bars * (np.maximum(wanted - length, 0.0) / length)[:, None]
    n = len(points)
    # bincount adds in the order of the edges, so that the sums have the same bits everywhere.
    return np.column_stack(
        [
            np.bincount(edges[:, 0], push[:, k], n) - np.bincount(edges[:, 1], push[:, k], n)
            for k in (0, 1)
        ]
    )


def _keep_inside(points: Array, scale: float) -> Array:
    margin = 0.45 * scale * element_size(points)
    points = np.column_stack([np.maximum(points[:, 0], margin), points[:, 1]])
    shrink = np.minimum(0.99 / _level(points), 1.0)
    inside: Array = OUTLINE_CENTRE + (points - OUTLINE_CENTRE) * shrink[:, None]
    return inside


def _edges(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    pairs = np.vstack([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    pairs.sort(axis=1)
    # One number per pair: np.unique of plain integers is much faster than of rows.
    count = int(pairs.max()) + 1
    return np.column_stack(np.divmod(np.unique(pairs[:, 0] * count + pairs[:, 1]), count))


def _delaunay(points: Array) -> NDArray[np.int64]:
    """Delaunay triangles, counter-clockwise, without the slivers along straight borders."""
    triangles: NDArray[np.int64] = Delaunay(points).simplices.astype(np.int64)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    longest = np.maximum.reduce([norm(a - b), norm(b - c), norm(c - a)])
    triangles[area < 0] = triangles[area < 0][:, ::-1]
    # Along straight borders three points may lie on one line: such triangles have no normal.
    solid: NDArray[np.int64] = triangles[np.abs(area) > 1e-3 * longest**2]
    return solid


def _round(points: Array) -> Array:
    return np.round(points * _GRID) / _GRID
