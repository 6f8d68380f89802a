"""Triangulated grids of points, the topology of everything a person wears."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Triangles = NDArray[np.int64]


def sheet(rows: int, columns: int, *, closed: bool = True) -> Triangles:
    """Triangles of a (rows, columns) grid of vertices, row by row.

    With rows running down and columns to the right as seen from outside, they face outward.
    A closed sheet joins its last column to its first.
    """
    across = np.arange(columns if closed else columns - 1)
    here, there = across, (across + 1) % columns
    down = np.arange(rows - 1)[:, None] * columns
    a, b, c, d = down + here, down + columns + here, down + columns + there, down + there
    return np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )


def fan(columns: int) -> Triangles:
    """Triangles from the last vertex to a ring of `columns` vertices before it."""
    ring = np.arange(columns)
    return np.stack([ring, (ring + 1) % columns, np.full(columns, columns)], -1)
