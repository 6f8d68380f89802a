"""Texture coordinates of any face model: one chart for each connected part, no seam in the face.

Made once from a model's mean, deterministically. A part that is open at the back, as most face
models are, is laid out whole. A part much of which faces backwards, as a whole head or an eyeball,
is first cut behind a plane: what lies there is never seen by a camera in front, and takes the
colour of the nearest charted point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from .disc_chart import Patch, boundary_edges, lay_in_disc

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


@dataclass(frozen=True, eq=False)
class Unwrapping:
    """Where a model's surface lies in its texture.

    Attributes:
        uv: (V, 2) float64 in [0, 1], u to the right and v up, the picture's lower left at (0, 0).
        charted: (F,) bool, the triangles that own their place in the texture; the others repeat
            the colour of the nearest charted points.
    """

    uv: Points
    charted: NDArray[np.bool_]


def unwrap(vertices: NDArray[np.floating], triangles: NDArray[np.integer]) -> Unwrapping:
    """Lay out a surface (V, 3) mm of triangles (F, 3); faces look along +z, y is up."""
    points, corners = vertices.astype(np.float64), triangles.astype(np.int64)
    parts = _by_area(points, corners)
    uv = np.full((len(points), 2), np.nan)
    charted = np.zeros(len(corners), bool)
    for numbers, (centre, radius) in zip(parts, _places(len(parts)), strict=True):
        kept = numbers[_laid_out(points, corners[numbers])]
        used, local = np.unique(corners[kept], return_inverse=True)
        disc = lay_in_disc(Patch(points[used], local.reshape(-1, 3)))
        uv[used] = centre + radius * disc
        charted[kept] = True
    return Unwrapping(_filled(uv, points), charted)


def _by_area(points: Points, triangles: Ints) -> list[Ints]:
    """Numbers of the triangles of each connected part, the largest part first."""
    label = _labels(triangles, len(points))
    area = np.bincount(label, _areas(points, triangles))
    order = [part for part in np.argsort(-area, kind="stable") if area[part] > 0.0]
    parts = [np.flatnonzero(label == part) for part in order]
    return [part for part in parts if len(part) >= _LEAST_TRIANGLES]


def _labels(triangles: Ints, n: int) -> Ints:
    """Connected part (F,) of every triangle."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    graph = csr_matrix((np.ones(len(edges)), edges.T), shape=(n, n))
    labels: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels[triangles[:, 0]]


def _laid_out(points: Points, triangles: Ints) -> Ints:
    """Which triangles of a part become its chart: all, or those before the cut."""
    kept = np.arange(len(triangles))
    if _share_turned_away(points, triangles) > TURNED_AWAY:
        depth = points[triangles, 2]
        plane = depth.min() + CUT_AT * (depth.max() - depth.min())
        kept = np.flatnonzero(depth.min(axis=1) >= plane)
    return _simple(points, triangles, kept)


def _share_turned_away(points: Points, triangles: Ints) -> float:
    areas = _areas(points, triangles)
    return float(areas[_across(points, triangles)[:, 2] < 0.0].sum() / areas.sum())


def _simple(points: Points, triangles: Ints, kept: Ints) -> Ints:
    """The largest piece, eroded until no boundary passes a point twice."""
    while True:
        label = _labels(triangles[kept], len(points))
        kept = kept[label == np.bincount(label).argmax()]
        starts = boundary_edges(triangles[kept])[:, 0]
        crossed = np.flatnonzero(np.bincount(starts, minlength=len(points)) > 1)
        if not len(crossed):
            return kept
        kept = kept[~np.isin(triangles[kept], crossed).any(axis=1)]


def _places(count: int) -> list[tuple[Points, float]]:
    """Centre and radius of each chart's disc: the first large, the others in a row below it."""
    further = count - 1
    side = min(_SIDE_OF_FURTHER_CHARTS, 1.0 / further) if further else 0.0
    first = (np.array([0.5, side + (1.0 - side) / 2.0]), (1.0 - side) / 2.0 - MARGIN)
    middles = [np.array([(i + 0.5) * side, side / 2.0]) for i in range(further)]
    return [first, *((middle, side / 2.0 - MARGIN) for middle in middles)]


def _filled(uv: Points, points: Points) -> Points:
    """Points without a place take that of the nearest point with one."""
    known = ~np.isnan(uv[:, 0])
    nearest = cKDTree(points[known]).query(points[~known])[1]
    filled = uv.copy()
    filled[~known] = uv[known][nearest]
    return filled


def _areas(points: Points, triangles: Ints) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.linalg.norm(_across(points, triangles), axis=1) / 2.0
    return areas


def _across(points: Points, triangles: Ints) -> Points:
    """Normals (F, 3) as long as twice the areas."""
    a, b, c = points[triangles].swapaxes(0, 1)
    return np.cross(b - a, c - a)
