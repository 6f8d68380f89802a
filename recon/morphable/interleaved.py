"""Columns of interleaved coordinates (3V), as the Basel and Surrey files store them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .model import Float32Array

BRIGHTEST = np.float32(255.0)
"""The largest value of a colour where the file stores bytes' range."""


def points(column: NDArray[Any], where: str) -> NDArray[np.float64]:
    """Vertices or colours (V, 3) of x, y, z, x, y, z … in any shape.

    Raises:
        FacebenchError: the length is no multiple of three.
    """
    if not column.size or column.size % 3:
        raise FacebenchError(f"{where}: {column.size} numbers", "expected x, y, z of each vertex")
    return column.reshape(-1, 3).astype(np.float64)


def colours_of_bytes(column: NDArray[Any], where: str) -> NDArray[np.float64]:
    """Colours (V, 3) in [0, 1] of RGB from 0 to 255.

    Raises:
        FacebenchError: they lie in another range.
    """
    colours = points(column, where)
    if not 1.0 < colours.max() <= 1.1 * BRIGHTEST:
        raise FacebenchError(
            f"{where}: colours up to {colours.max():.4g}", "expected RGB from 0 to 255"
        )
    return colours / BRIGHTEST


def modes(
    basis: NDArray[Any],
    deviations: NDArray[Any],
    where: str,
    rows: NDArray[np.integer] | slice = slice(None),
) -> Float32Array:
    """Modes (V, 3, K) that carry their standard deviation.

    Args:
        basis: (3V, K) unit-norm columns.
        deviations: K standard deviations in any shape.
        where: what errors call the source.
        rows: the vertices to keep; all by default.

    Raises:
        FacebenchError: the shapes do not fit.
    """
    if basis.ndim != 2 or basis.shape[0] % 3 or basis.shape[1] != deviations.size:
        raise FacebenchError(
            f"{where}: a basis of shape {basis.shape} for {deviations.size} modes",
            "expected (3 V, K); the file is damaged or of another model",
        )
    kept = basis.reshape(-1, 3, deviations.size)[rows]
    scaled: Float32Array = (kept * deviations.ravel()).astype(np.float32)
    return scaled


def deviations_of(variances: NDArray[Any], where: str) -> NDArray[np.float64]:
    """Square roots of the variances.

    Raises:
        FacebenchError: one is negative or not a number.
    """
    if not (np.asarray(variances) >= 0).all():
        raise FacebenchError(f"{where}: negative or undefined variances", "the file is damaged")
    deviations: NDArray[np.float64] = np.sqrt(variances.astype(np.float64))
    return deviations
