"""Polygons and strips of a mesh file as triangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..surface.triangles import double_areas
from ..surface.triangles import lengths as lengths_of

Vertices = NDArray[np.float64]
Index = NDArray[np.int64]

_MOST_WORK = 2**29
"""Sum of the cubes of concave polygons' corners: what an ear's search takes, about ten seconds."""
_IN_LINE = 1e-6
"""Sine of the angle at a corner, below which it lies between its neighbours."""
_BLOCK = 2**20
"""Pairs of an ear and a corner that are looked at together."""


def triangulate(values: Index, lengths: Index, vertices: Vertices) -> Index:
    """Polygons as triangles (F, 3), in order.

    A polygon becomes a fan about its first corner wherever that covers it: a convex one always, and
    a concave one whose first corner sees all others. Another quad is cut along its other diagonal,
    and another polygon loses one ear after the other in the plane of its mean normal.

    Args:
        values: the corners' vertices of all polygons, one after the other.
        lengths: (P,) corners of each.
        vertices: (V, 3).

    Raises:
        ValueError: concave polygons of so many corners that it would take minutes.
    """
    triangles = _fans(values, lengths)
    lengths = np.where(lengths < 3, 2, lengths)
    # An index out of range is refused by who reads the file, with its own words.
    outside = len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(vertices)
    if outside or (lengths <= 3).all():
        return triangles
    many = np.flatnonzero(lengths > 3)
    # Behind the triangles of those before it: n corners make n - 2.
    first = (np.cumsum(lengths - 2) - (lengths - 2))[many]
    for corners in np.unique(lengths[many]).tolist():
        own = first[lengths[many] == corners]
        place = own[:, None] + np.arange(corners - 2)
        fan = triangles[place]
        bad = _is_turned(fan, vertices)
        if bad.any():
            polygons = np.concatenate([fan[bad, 0, :2], fan[bad, :, 2]], axis=1)
            triangles[place[bad]] = _cut(polygons, vertices)
    return triangles


def _fans(values: Index, lengths: Index) -> Index:
    """Polygons as triangles (F, 3) about their first corners, in order."""
    if (lengths == 3).all():
        return values.reshape(-1, 3)
    begin = np.cumsum(lengths) - lengths
    n_fans = np.maximum(lengths - 2, 0)
    start = np.repeat(begin, n_fans)
    step = np.arange(n_fans.sum()) - np.repeat(np.cumsum(n_fans) - n_fans, n_fans)
    return np.stack([values[start], values[start + step + 1], values[start + step + 2]], axis=1)


def _is_turned(parts: Index, vertices: Vertices) -> NDArray[np.bool_]:
    """Which polygons, given as triangles (P, T, 3), have one against the normal of the whole; (P,).

    Those of a polygon without overlap have its sign, and add up to its area.
    """
    with np.errstate(all="ignore"):
        areas = double_areas(vertices, parts.reshape(-1, 3)).reshape(parts.shape)
        normal = areas.sum(axis=1, keepdims=True)
        turned = np.asarray(((areas * normal).sum(axis=-1) < 0).any(axis=1))
        # A corner in line with its neighbours, to the digits of a file, is none.
        a, b, c = np.moveaxis(vertices[parts[turned]], 2, 0)
        scale = lengths_of(b - a) * lengths_of(c - a) * lengths_of(normal[turned])
        along = (areas[turned] * normal[turned]).sum(axis=-1)
        turned[turned] = (along < -_IN_LINE * scale).any(axis=1)
    return turned


def _cut(polygons: Index, vertices: Vertices) -> Index:
    """Concave polygons (P, n) as triangles (P, n - 2, 3)."""
    count, corners = polygons.shape
    if corners == 4:
        a, b, c, d = polygons.T
        other = np.stack([np.stack([a, b, d], axis=1), np.stack([b, c, d], axis=1)], axis=1)
        fan = np.stack([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)], axis=1)
        # Edges that cross have no right diagonal.
        crossed = _is_turned(other, vertices)
        return np.where(crossed[:, None, None], fan, other)
    if count * corners**3 > _MOST_WORK:
        raise ValueError(
            f"{count:,} concave polygons of {corners:,} corners: "
            "triangulate them in the program that wrote the file"
        )
    step = max(1, _BLOCK // corners**2)
    blocks = [polygons[at : at + step] for at in range(0, count, step)]
    return np.concatenate([_clip_ears(block, vertices) for block in blocks])


def _clip_ears(polygons: Index, vertices: Vertices) -> Index:
    """Polygons (P, n) without their ears, one by one: triangles (P, n - 2, 3).

    Of the ears the one with the shortest cut goes, which leaves the fewest slivers. Source: G. H.
    Meisters, "Polygons have ears", American Mathematical Monthly 82 (1975).
    """
    flat = _in_plane(vertices[polygons])
    left, row = np.tile(np.arange(polygons.shape[1]), (len(polygons), 1)), np.arange(len(polygons))
    triangles = []
    while left.shape[1] > 3:
        point = flat[row[:, None], left]
        before, after = np.roll(point, 1, axis=1), np.roll(point, -1, axis=1)
        is_ear = (_turn(before, point, after) > 0) & ~_holds_any(before, point, after)
        cut = ((after - before) ** 2).sum(axis=-1)
        # Where edges cross there may be none; whichever goes then is as good.
        best = np.where(is_ear, cut, np.inf).argmin(axis=1)
        near = np.stack([best - 1, best, (best + 1) % left.shape[1]], axis=1)
        triangles.append(left[row[:, None], near])
        left = left[np.arange(left.shape[1]) != best[:, None]].reshape(len(left), -1)
    places = np.stack([*triangles, left], axis=1)
    return np.asarray(polygons[row[:, None, None], places], np.int64)


def _in_plane(corner: Vertices) -> Vertices:
    """Polygons (P, n, 3) along two axes of their planes (P, n, 2), the normal towards the eye."""
    rays = corner - corner[:, :1]
    normal = np.cross(rays[:, :-1], rays[:, 1:]).sum(axis=1)
    # Any axis across it: of the unit vectors the one that is furthest from it gives the most exact.
    aside = np.eye(3)[np.abs(normal).argmin(axis=1)]
    right = np.cross(aside, normal)
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), np.finfo(float).tiny)
    up = np.cross(normal, right)
    up /= np.maximum(np.linalg.norm(up, axis=1, keepdims=True), np.finfo(float).tiny)
    return np.asarray(np.einsum("pnc,pac->pna", rays, np.stack([right, up], axis=1)))


def _turn(a: Vertices, b: Vertices, c: Vertices) -> Vertices:
    """Twice the area of triangles of points (..., 2), above 0 where they turn left."""
    ab, ac = b - a, c - a
    return np.asarray(ab[..., 0] * ac[..., 1] - ab[..., 1] * ac[..., 0])


def _holds_any(before: Vertices, point: Vertices, after: Vertices) -> NDArray[np.bool_]:
    """Which corners' (P, n) triangles with their neighbours hold or touch another corner."""
    a, b, c, q = before[:, :, None], point[:, :, None], after[:, :, None], point[:, None]
    inside = (_turn(a, b, q) >= 0) & (_turn(b, c, q) >= 0) & (_turn(c, a, q) >= 0)
    # The triangle's own corners, and copies of them where a slit leads to a hole.
    own = (q == a).all(-1) | (q == b).all(-1) | (q == c).all(-1)
    return np.asarray((inside & ~own).any(axis=2))


def triangles_of_strips(values: Index, lengths: Index) -> Index:
    """Strips as triangles (F, 3), all the same way round; -1 ends a run."""
    # A -1 between lists keeps strips apart that the file keeps apart by their lengths alone.
    values = np.insert(values, np.cumsum(lengths), -1)
    corners = np.stack([values[:-2], values[1:-1], values[2:]], axis=1) if len(values) > 2 else None
    if corners is None:
        return np.empty((0, 3), np.int64)
    ends = np.flatnonzero(values == -1)
    place = np.arange(len(corners))
    run = np.searchsorted(ends, place)
    since = place - np.where(run > 0, ends[np.maximum(run, 1) - 1] + 1, 0)
    turned = since % 2 == 1
    corners[turned] = corners[turned][:, [1, 0, 2]]
    corners = corners[(corners != -1).all(axis=1)]
    # A repeated corner steers a strip round a bend and is no triangle.
    a, b, c = corners.T
    triangles: Index = corners[(a != b) & (b != c) & (a != c)]
    return triangles
