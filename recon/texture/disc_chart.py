"""A surface patch laid out in a disc so that no triangle folds over another.

The patch's longest boundary goes onto the unit circle, its other boundaries are closed by a fan
around their centre, and every inner vertex becomes a weighted mean of its neighbours. With
positive weights and a convex boundary such a map is one to one (Tutte 1963, Floater 1997). The
weights are mean value coordinates (Floater 2003), then divided by how far the map stretches the
surface at the neighbour, which evens the stretch out and keeps them positive (Yoshizawa et al.
2004, "A fast and simple stretch-minimizing mesh parameterization").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

Points = NDArray[np.float64]
Ints = NDArray[np.int64]

_EVENING_STEPS = 2
"""Rounds of weights by stretch; more of them squeeze the rim."""

_LEAST_ANGLE = 1e-3
"""Radians; angles of needle triangles are taken as at least this far from 0 and π."""


@dataclass(frozen=True)
class Patch:
    """A connected surface with one longest boundary.

    Attributes:
        points: (N, 3), mm.
        triangles: (M, 3) counter-clockwise seen from outside.
    """

    points: Points
    triangles: Ints


def lay_in_disc(patch: Patch) -> Points:
    """Places (N, 2) of a patch's points in the unit disc, counter-clockwise as seen from outside.

    The boundary keeps its arc lengths, and is turned to lie as it does seen along z. Where it
    touches itself the map may fold.

    Args:
        patch: has a boundary; every point belongs to a triangle.
    """
    outer, others = boundaries(patch)
    closed = _closed(patch, others)
    rim = _on_circle(patch.points, outer)
    weights = _mean_value_weights(closed)
    laid = _relaxed(weights, outer, rim)
    for _ in range(_EVENING_STEPS):
        weights = weights @ _diagonal(1.0 / _stretch(closed, laid))
        laid = _relaxed(weights, outer, rim)
    return laid[: len(patch.points)]


def boundary_edges(triangles: Ints) -> Ints:
    """Directed edges (E, 2) that belong to one triangle only, the surface at their left."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    keys = np.sort(edges, axis=1) @ np.array([int(triangles.max()) + 1, 1])
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    once: Ints = edges[first[counts == 1]]
    return once


def boundaries(patch: Patch) -> tuple[Ints, list[Ints]]:
    """The longest boundary as a loop of points (L,), and the edges (E, 2) of each of the others."""
    edges = boundary_edges(patch.triangles)
    label = _components(edges, len(patch.points))[edges[:, 0]]
    lengths = np.linalg.norm(patch.points[edges[:, 1]] - patch.points[edges[:, 0]], axis=1)
    longest = int(np.bincount(label, lengths).argmax())
    others = [edges[label == other] for other in np.unique(label) if other != longest]
    return _loop(edges[label == longest]), others


def _components(edges: Ints, n: int) -> Ints:
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


def _closed(patch: Patch, holes: list[Ints]) -> Patch:
    """The patch with a point in the middle of every hole and a fan of triangles around it."""
    if not holes:
        return patch
    first = len(patch.points)
    centres = [patch.points[edges[:, 0]].mean(axis=0) for edges in holes]
    fans = [
        np.column_stack([edges[:, ::-1], np.full(len(edges), first + number)])
        for number, edges in enumerate(holes)
    ]
    return Patch(np.vstack([patch.points, centres]), np.vstack([patch.triangles, *fans]))


def _on_circle(points: Points, loop: Ints) -> Points:
    """Unit circle points (L, 2) at the loop's arc lengths, turned to where they lie from ahead."""
    path = points[loop]
    step = np.linalg.norm(np.roll(path, -1, axis=0) - path, axis=1)
    angle = 2.0 * np.pi * (np.cumsum(step) - step) / step.sum()
    seen = (path - path.mean(axis=0)) @ np.array([1.0, 1.0j, 0.0])
    angle += np.angle((seen * np.exp(-1j * angle)).sum())
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _mean_value_weights(patch: Patch) -> csr_matrix:
    """(N, N) weights of the neighbours of every point: sums of tan(angle / 2) / distance."""
    rows, columns, values = [], [], []
    for corner in range(3):
        here, following, last = (patch.triangles[:, (corner + k) % 3] for k in range(3))
        to_following = patch.points[following] - patch.points[here]
        to_last = patch.points[last] - patch.points[here]
        half = np.tan(_angle(to_following, to_last) / 2.0)
        for there, side in ((following, to_following), (last, to_last)):
            rows.append(here)
            columns.append(there)
            values.append(half / np.linalg.norm(side, axis=1).clip(min=1e-9))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    n = len(patch.points)
    return coo_matrix(entries, shape=(n, n)).tocsr()


def _angle(a: Points, b: Points) -> NDArray[np.float64]:
    across = np.linalg.norm(np.cross(a, b), axis=1)
    angle: NDArray[np.float64] = np.arctan2(across, (a * b).sum(axis=1))
    return angle.clip(_LEAST_ANGLE, np.pi - _LEAST_ANGLE)


def _relaxed(weights: csr_matrix, outer: Ints, rim: Points) -> Points:
    """Places (N, 2) where every point off the rim is the weighted mean of its neighbours."""
    n = weights.shape[0]
    fixed = np.zeros(n, bool)
    fixed[outer] = True
    shares = _diagonal(1.0 / np.asarray(weights.sum(axis=1)).ravel()) @ weights
    inner = np.flatnonzero(~fixed)
    rows = shares[inner]
    system = _diagonal(np.ones(len(inner))) - rows[:, inner]
    laid = np.zeros((n, 2))
    laid[outer] = rim
    laid[inner] = spsolve(system.tocsc(), rows[:, outer] @ rim)
    return laid


def _stretch(patch: Patch, laid: Points) -> NDArray[np.float64]:
    """How much larger the surface is than its image, as a length (N,), averaged at the points."""
    surface = _areas(patch.points, patch.triangles)
    image = _areas(np.pad(laid, ((0, 0), (0, 1))), patch.triangles)
    corners = patch.triangles.ravel()
    n = len(patch.points)
    around = np.bincount(corners, np.repeat(surface, 3), minlength=n)
    below = np.bincount(corners, np.repeat(image, 3), minlength=n)
    ratio = np.sqrt(around / below.clip(min=1e-15)).clip(min=1e-6)
    return np.asarray(ratio, np.float64)


def _areas(points: Points, triangles: Ints) -> NDArray[np.float64]:
    a, b, c = points[triangles].swapaxes(0, 1)
    areas: NDArray[np.float64] = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2.0
    return areas


def _diagonal(values: NDArray[np.float64]) -> csr_matrix:
    n = len(values)
    return csr_matrix((values, (np.arange(n), np.arange(n))), shape=(n, n))
