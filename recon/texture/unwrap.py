"""Texture coordinates of any face model: one chart for each connected part, no seam in the face.

Made once from a model's mean, deterministically. A part that is open at the back, as most face
models are, becomes one chart. A part much of which faces backwards, as a whole head or an eyeball,
is first cut behind a plane: what lies there is never seen by a camera in front, and takes the
colour of the nearest charted point.

A chart is a disc in which no triangle folds over another: the part's longest boundary goes onto the
circle, its other boundaries are closed by a fan around their centre, and every inner vertex becomes
a weighted mean of its neighbours. With positive weights and a convex boundary such a map is one to
one (Tutte 1963, Floater 1997). The weights are mean value coordinates (Floater 2003), then divided
by how far the map stretches the surface at the neighbour, which evens the stretch out and keeps
them positive (Yoshizawa et al. 2004, "A fast and simple stretch-minimizing mesh parameterization").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

Points = NDArray[np.float64]
Ints = NDArray[np.int64]

TURNED_AWAY = 0.3
"""Share of a part's area that faces backwards above which it is cut: of a whole head or an eyeball
0.4 to 0.5, of a face that ends behind the ears 0.2 (the ears and nostrils)."""

CUT_AT = 0.35
"""Share of a part's depth, from the back, that is cut off."""

MARGIN = 0.006
"""Free border around every chart, of the texture's side."""

_SIDE_OF_FURTHER_CHARTS = 0.12
_LEAST_TRIANGLES = 4

# Rounds of weights by stretch; more of them squeeze the boundary.
_STRETCH_STEPS = 2

# Radians; angles of needle triangles are taken as at least this far from 0 and π.
_LEAST_ANGLE = 1e-3


def unwrap(
    vertices: NDArray[np.floating], triangles: NDArray[np.integer]
) -> tuple[Points, NDArray[np.bool_]]:
    """Lay out a surface (V, 3) mm of triangles (F, 3); faces look along +z, y is up.

    Returns:
        uv (V, 2) float64 in [0, 1], u to the right and v up, the picture's lower left at (0, 0);
        and which triangles (F,) own their place in the texture: the others repeat the colour of
        the nearest charted points.
    """
    points, corners = vertices.astype(np.float64), triangles.astype(np.int64)
    parts = _parts_by_area(points, corners)
    uv = np.full((len(points), 2), np.nan)
    charted = np.zeros(len(corners), bool)
    for numbers, (centre, radius) in zip(parts, _chart_discs(len(parts)), strict=True):
        kept = numbers[_chart_triangles(points, corners[numbers])]
        used, local = np.unique(corners[kept], return_inverse=True)
        disc = map_to_disc(points[used], local.reshape(-1, 3))
        uv[used] = centre + radius * disc
        charted[kept] = True
    return _fill_missing(uv, points), charted


def _parts_by_area(points: Points, triangles: Ints) -> list[Ints]:
    """Numbers of the triangles of each connected part, the largest part first."""
    label = _labels(triangles, len(points))
    area = np.bincount(label, _areas(points, triangles))
    order = [part for part in np.argsort(-area, kind="stable") if area[part] > 0.0]
    parts = [np.flatnonzero(label == part) for part in order]
    return [part for part in parts if len(part) >= _LEAST_TRIANGLES]


def _labels(triangles: Ints, n: int) -> Ints:
    """Connected part (F,) of every triangle."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    return _components(edges, n)[triangles[:, 0]]


def _chart_triangles(points: Points, triangles: Ints) -> Ints:
    """Which triangles of a part become its chart: all, or those before the cut."""
    kept = np.arange(len(triangles))
    if _share_turned_away(points, triangles) > TURNED_AWAY:
        depth = points[triangles, 2]
        plane = depth.min() + CUT_AT * (depth.max() - depth.min())
        # Whole triangles before the plane: cut ones would need new vertices, which models do not
        # have.
        kept = np.flatnonzero(depth.min(axis=1) >= plane)
    return _largest_simple_piece(points, triangles, kept)


def _share_turned_away(points: Points, triangles: Ints) -> float:
    areas = _areas(points, triangles)
    return float(areas[_doubled_normals(points, triangles)[:, 2] < 0.0].sum() / areas.sum())


def _largest_simple_piece(points: Points, triangles: Ints, kept: Ints) -> Ints:
    """The largest piece, eroded until no boundary passes a point twice."""
    # Each round can split a piece or open another crossing; triangles only get fewer, so it ends.
    while True:
        label = _labels(triangles[kept], len(points))
        kept = kept[label == np.bincount(label).argmax()]
        starts = boundary_edges(triangles[kept])[:, 0]
        crossed = np.flatnonzero(np.bincount(starts, minlength=len(points)) > 1)
        if not len(crossed):
            return kept
        kept = kept[~np.isin(triangles[kept], crossed).any(axis=1)]


def _chart_discs(count: int) -> list[tuple[Points, float]]:
    """Centre and radius of each chart's disc: the first large, the others in a row below it."""
    further = count - 1
    # Eyes and teeth: small discs in a row, so that the face keeps nearly the whole texture.
    side = min(_SIDE_OF_FURTHER_CHARTS, 1.0 / further) if further else 0.0
    first = (np.array([0.5, side + (1.0 - side) / 2.0]), (1.0 - side) / 2.0 - MARGIN)
    middles = [np.array([(i + 0.5) * side, side / 2.0]) for i in range(further)]
    return [first, *((middle, side / 2.0 - MARGIN) for middle in middles)]


def _fill_missing(uv: Points, points: Points) -> Points:
    """Points without a place take that of the nearest point with one."""
    known = ~np.isnan(uv[:, 0])
    nearest = cKDTree(points[known]).query(points[~known])[1]
    filled = uv.copy()
    # Their triangles then repeat one colour, of the charted border nearest in space.
    filled[~known] = uv[known][nearest]
    return filled


def _areas(points: Points, triangles: Ints) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.linalg.norm(_doubled_normals(points, triangles), axis=1) / 2.0
    return areas


def _doubled_normals(points: Points, triangles: Ints) -> Points:
    """Normals (F, 3) as long as twice the areas."""
    a, b, c = points[triangles].swapaxes(0, 1)
    return np.cross(b - a, c - a)


def map_to_disc(points: Points, triangles: Ints) -> Points:
    """Places (N, 2) of a surface's points in the unit disc, counter-clockwise seen from outside.

    The boundary keeps its arc lengths, and is turned to lie as it does seen along z. Where it
    touches itself the map may fold.

    Args:
        points: (N, 3) mm, of one connected surface with a boundary; each belongs to a triangle.
        triangles: (M, 3) counter-clockwise seen from outside.
    """
    outer, others = boundaries(points, triangles)
    closed, fanned = _close_holes(points, triangles, others)
    circle = _circle_positions(points, outer)
    weights = _mean_value_weights(closed, fanned)
    chart = _solve_positions(weights, outer, circle)
    for _ in range(_STRETCH_STEPS):
        # Columns, not rows: a stretched neighbour draws less, from either side.
        weights = weights @ _diagonal(1.0 / _stretch(closed, fanned, chart))
        chart = _solve_positions(weights, outer, circle)
    return chart[: len(points)]


def boundary_edges(triangles: Ints) -> Ints:
    """Directed edges (E, 2) that belong to one triangle only, the surface at their left."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    # One number per undirected edge; those that occur once are the boundary.
    keys = np.sort(edges, axis=1) @ np.array([int(triangles.max()) + 1, 1])
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    once: Ints = edges[first[counts == 1]]
    return once


def boundaries(points: Points, triangles: Ints) -> tuple[Ints, list[Ints]]:
    """The longest boundary as a loop of points (L,), and the edges (E, 2) of each of the others."""
    edges = boundary_edges(triangles)
    label = _components(edges, len(points))[edges[:, 0]]
    lengths = np.linalg.norm(points[edges[:, 1]] - points[edges[:, 0]], axis=1)
    # By length, not by count: the outer boundary, not a finely meshed eye.
    longest = int(np.bincount(label, lengths).argmax())
    others = [edges[label == other] for other in np.unique(label) if other != longest]
    return _loop(edges[label == longest]), others


def _components(edges: Ints, n: int) -> Ints:
    """Connected part (N,) of every point."""
    graph = csr_matrix((np.ones(len(edges)), edges.T), shape=(n, n))
    labels: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _loop(edges: Ints) -> Ints:
    following = dict(edges.tolist())
    start = point = int(edges[0, 0])
    loop = [start]
    while (point := following[point]) != start:
        loop.append(point)
    return np.array(loop)


def _close_holes(points: Points, triangles: Ints, holes: list[Ints]) -> tuple[Points, Ints]:
    """The surface with a point in the middle of every hole and a fan of triangles around it."""
    if not holes:
        return points, triangles
    first = len(points)
    centres = [points[edges[:, 0]].mean(axis=0) for edges in holes]
    fans = [
        # Reversed: the fan lies on the other side of the boundary.
        np.column_stack([edges[:, ::-1], np.full(len(edges), first + number)])
        for number, edges in enumerate(holes)
    ]
    return np.vstack([points, centres]), np.vstack([triangles, *fans])


def _circle_positions(points: Points, loop: Ints) -> Points:
    """Unit circle points (L, 2) at the loop's arc lengths, turned to where they lie from ahead."""
    path = points[loop]
    step = np.linalg.norm(np.roll(path, -1, axis=0) - path, axis=1)
    angle = 2.0 * np.pi * (np.cumsum(step) - step) / step.sum()
    seen = (path - path.mean(axis=0)) @ np.array([1.0, 1.0j, 0.0])
    # The rotation that brings the circle nearest to the boundary as seen: the face stands upright
    # in its texture.
    angle += np.angle((seen * np.exp(-1j * angle)).sum())
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _mean_value_weights(points: Points, triangles: Ints) -> csr_matrix:
    """(N, N) weights of the neighbours of every point: sums of tan(angle / 2) / distance."""
    rows, columns, values = [], [], []
    for corner in range(3):
        here, following, last = (triangles[:, (corner + k) % 3] for k in range(3))
        to_following = points[following] - points[here]
        to_last = points[last] - points[here]
        # tan(α/2) of both triangles at an edge over its length: Floater's weights, positive for
        # every triangle.
        half = np.tan(_angle(to_following, to_last) / 2.0)
        for there, side in ((following, to_following), (last, to_last)):
            rows.append(here)
            columns.append(there)
            values.append(half / np.linalg.norm(side, axis=1).clip(min=1e-9))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    n = len(points)
    return coo_matrix(entries, shape=(n, n)).tocsr()


def _angle(a: Points, b: Points) -> NDArray[np.float64]:
    across = np.linalg.norm(np.cross(a, b), axis=1)
    angle: NDArray[np.float64] = np.arctan2(across, (a * b).sum(axis=1))
    return angle.clip(_LEAST_ANGLE, np.pi - _LEAST_ANGLE)


def _solve_positions(weights: csr_matrix, outer: Ints, circle: Points) -> Points:
    """Places (N, 2) where every point off the boundary is the weighted mean of its neighbours."""
    n = weights.shape[0]
    fixed = np.zeros(n, bool)
    fixed[outer] = True
    shares = _diagonal(1.0 / np.asarray(weights.sum(axis=1)).ravel()) @ weights
    inner = np.flatnonzero(~fixed)
    rows = shares[inner]
    # Inner points in terms of the boundary: diagonally dominant, so the sparse solution exists.
    system = _diagonal(np.ones(len(inner))) - rows[:, inner]
    chart = np.zeros((n, 2))
    chart[outer] = circle
    chart[inner] = spsolve(system.tocsc(), rows[:, outer] @ circle)
    return chart


def _stretch(points: Points, triangles: Ints, chart: Points) -> NDArray[np.float64]:
    """How much larger the surface is than its image, as a length (N,), averaged at the points."""
    surface = _areas(points, triangles)
    image = _areas(np.pad(chart, ((0, 0), (0, 1))), triangles)
    corners = triangles.ravel()
    n = len(points)
    around = np.bincount(corners, np.repeat(surface, 3), minlength=n)
    below = np.bincount(corners, np.repeat(image, 3), minlength=n)
    # The root of areas is a length; floors keep a collapsed triangle from an infinite weight.
    ratio = np.sqrt(around / below.clip(min=1e-15)).clip(min=1e-6)
    return np.asarray(ratio, np.float64)


def _diagonal(values: NDArray[np.float64]) -> csr_matrix:
    n = len(values)
    return csr_matrix((values, (np.arange(n), np.arange(n))), shape=(n, n))
