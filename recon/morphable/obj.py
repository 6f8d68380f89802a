"""Vertices and faces of Wavefront OBJ files, nothing else of them, quickly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError


def read_vertices(path: Path) -> NDArray[np.float64]:
    """Positions (V, 3) of the `v` lines, in file order and unit.

    Raises:
        FacebenchError: the file is unreadable or a line does not hold three numbers.
    """
    rows = [line[2:] for line in _lines(path) if line.startswith(b"v ")]
    try:
        values = np.array(b" ".join(rows).split(), np.float64)
        vertices: NDArray[np.float64] = values.reshape(len(rows), -1)[:, :3]
    except ValueError as error:
        raise FacebenchError(f"{path}: a damaged vertex line", "copy the file again") from error
    if vertices.shape[1:] != (3,) or not np.isfinite(vertices).all():
        raise FacebenchError(f"{path}: no three finite numbers a vertex", "copy the file again")
    return vertices


def read_faces(path: Path) -> NDArray[np.int64]:
    """Triangles (F, 3), counted from 0, of the `f` lines; a polygon becomes a fan.

    Raises:
        FacebenchError: the file is unreadable or a line does not hold three or more vertices.
    """
    rows = [line[2:].split() for line in _lines(path) if line.startswith(b"f ")]
    fans = []
    try:
        for corners in sorted({len(row) for row in rows}):
            tokens = [token for row in rows if len(row) == corners for token in row]
            numbers = np.array([token.partition(b"/")[0] for token in tokens], np.int64)
            fans.append(_fan(numbers.reshape(-1, corners)))
    except (ValueError, OverflowError) as error:
        raise FacebenchError(f"{path}: a damaged face line", "copy the file again") from error
    return np.concatenate([np.zeros((0, 3), np.int64), *fans]) - 1


def _fan(polygons: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles (N (C - 2), 3) of N polygons with C corners, (N, C)."""
    corners = polygons.shape[1]
    triangles = [polygons[:, [0, i, i + 1]] for i in range(1, corners - 1)]
    return np.stack(triangles, axis=1).reshape(-1, 3)


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError as error:
        raise FacebenchError(f"{path}: unreadable ({error.strerror})") from error
