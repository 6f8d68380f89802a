"""Vertices gathered by the cubes of space they lie in (Rossignac and Borrel 1993)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def clustered(
    places: NDArray[np.floating], spacing: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One place for each cube that holds any, the one nearest to its centre.

    Args:
        places: (V, 3) mm.
        spacing: side of the cubes in mm.

    Returns:
        The chosen places (N,), and for every place (V,) which of the N stands for it.
    """
    cells = np.floor(places / spacing)
    off = np.linalg.norm(places / spacing - cells - 0.5, axis=1)
    order = np.lexsort((off, *cells.T))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(cells[order], axis=0) != 0).any(axis=1)
    owner = np.empty(len(order), np.int64)
    owner[order] = np.cumsum(first) - 1
    return order[first].astype(np.int64), owner


def coarse_triangles(triangles: NDArray[np.int32], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """What is left of triangles (F, 3) when every vertex (V,) moves to the one that stands for it.

    Those that shrink to an edge or a point are gone, and of those that fall together one is kept.
    """
    moved = owner[triangles]
    a, b, c = moved.T
    distinct = (a != b) & (b != c) & (c != a)
    kept: NDArray[np.int64] = np.unique(np.sort(moved[distinct], axis=1), axis=0)
    return kept
