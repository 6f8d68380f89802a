"""From raw fields to bases: no similarity motion, orthogonal columns, chosen strength."""

from __future__ import annotations

import numpy as np

from .solid import Array


def similarity_directions(vertices: Array) -> Array:
    """(3V, 7) orthonormal columns: the translations, rotations and the scale of a shape."""
    centred = vertices - vertices.mean(axis=0)
    moves = [np.tile(axis, (len(vertices), 1)) for axis in np.eye(3)]
    moves += [np.cross(axis, centred) for axis in np.eye(3)]
    columns = np.column_stack([move.ravel() for move in [*moves, centred]])
    return np.linalg.qr(columns)[0]


def remove(columns: Array, directions: Array) -> Array:
    """Columns (N, K) without their parts along orthonormal directions (N, D)."""
    return columns - directions @ (directions.T @ columns)


def orthogonal(columns: Array) -> Array:
    """The orthonormal columns (N, K) closest to the given ones (Löwdin), after normalising.

    Every mode moves as little as possible, so each keeps its meaning; Gram-Schmidt would bend the
    later ones most.
    """
    unit = columns / np.sqrt((columns**2).sum(axis=0))
    values, vectors = np.linalg.eigh(unit.T @ unit)
    closest: Array = unit @ (vectors / np.sqrt(values)) @ vectors.T
    return closest


def successive(columns: Array) -> Array:
    """Columns (N, K) each without its part along the earlier ones, lengths kept (Gram-Schmidt).

    For modes in order of reach: the first stay as they are, later and smaller ones give way.
    """
    lengths = np.sqrt((columns**2).sum(axis=0))
    basis, upper = np.linalg.qr(columns)
    scaled: Array = basis * np.sign(np.diag(upper)) * lengths
    return scaled


def quantised(array: Array, bits: int) -> np.typing.NDArray[np.float32]:
    """Rounded to multiples of 2^-bits, so that a CPU's last bits do not reach the digest."""
    step = 2.0**bits
    return (np.round(array * step) / step + 0.0).astype(np.float32)
