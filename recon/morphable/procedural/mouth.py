"""The lips' line and the pocket behind it.

In the plane of the mesh the mouth line is a lens a few mm tall: its upper edge is the inner border
of the upper lip, its lower edge that of the lower lip. On the skin both edges lie on the line but
for a hair's breadth, and the inside of the lens becomes a pocket that opens with the jaw.
"""

from __future__ import annotations

import numpy as np

from .head import front, unroll
from .solid import Array

MOUTH_CORNER = 25.2
"""Half the width of the mouth line, mm."""

_LENS = 3.2
_GAP = 0.05
_RELIEF = 8.0
_DEPTH = 16.0
_CAVITY = 9.0


def mouth_line(x: Array) -> Array:
    """Height y of the mouth line at x, mm."""
    t = np.clip(np.abs(x) / MOUTH_CORNER, 0.0, 1.0)
    return -40.3 - 0.8 * t * t - 0.5 * (1 - t * t) * np.maximum(1 - 9 * t * t, 0.0)


def upper_lip_border(x: Array) -> Array:
    """Height of the upper lip's outer border: a cupid's bow."""
    t = np.clip(np.abs(x) / MOUTH_CORNER, 0.0, 1.0)
    bow = 7.6 * (1 - t) ** 0.9 * (1 + 0.55 * t) - 1.3 * np.maximum(1 - (t / 0.22) ** 2, 0.0)
    return mouth_line(x) + np.maximum(bow, 0.0)


def lower_lip_border(x: Array) -> Array:
    """Height of the lower lip's outer border."""
    t = np.clip(np.abs(x) / MOUTH_CORNER, 0.0, 1.0)
    return mouth_line(x) - 8.6 * (1 - t**2.2) ** 0.85


def _line() -> tuple[Array, Array]:
    x = np.linspace(0.0, MOUTH_CORNER, 61)
    plane = unroll(front(np.column_stack([x, mouth_line(x)])))
    return plane[:, 0], plane[:, 1]


class MouthLens:
    """Opens and closes the mouth line between the plane of the mesh and that of the skin."""

    def __init__(self) -> None:
        self._p, self._q = _line()

    def open(self, skin: Array) -> Array:
        """Mesh coordinates (N, 2) of points of the skin plane, the line itself going up."""
        offset, half = self._offset(skin), self.half_height(skin[:, 0])
        magnitude = np.abs(offset)
        reach = half + _RELIEF
        gap = _GAP * half
        stretched = half + np.maximum(magnitude - gap, 0.0) * _RELIEF / (reach - gap)
        opened = np.where(magnitude < reach, stretched, magnitude)
        sign = np.where(offset < 0, -1.0, 1.0)
        return np.column_stack([skin[:, 0], skin[:, 1] - offset + sign * opened])

    def close(self, mesh: Array) -> tuple[Array, Array]:
        """Skin plane (N, 2) of mesh coordinates, and the place across the lens.

        The place is in (-1, 1) inside the lens, from the lower to the upper lip; beyond it is the
        distance from the line in mm plus or minus one.
        """
        offset, half = self._offset(mesh), self.half_height(mesh[:, 0])
        outside = np.maximum(np.abs(offset) - half, 0.0)
        gap = _GAP * half
        near = gap + outside * (half + _RELIEF - gap) / _RELIEF
        closed = np.where(outside < _RELIEF, near, outside + half)
        closed = np.where(outside > 0, closed, _GAP * np.abs(offset))
        sign = np.where(offset < 0, -1.0, 1.0)
        across = sign * np.where(
            outside > 0, 1.0 + outside, np.abs(offset) / np.maximum(half, 1e-9)
        )
        skin = np.column_stack([mesh[:, 0], mesh[:, 1] - offset + sign * closed])
        return skin, across

    def edge(self, side: float) -> Array:
        """Polyline (M, 2) of the lens's upper (+1) or lower (-1) edge from corner to middle."""
        p = self._p[::-1]
        return np.column_stack([p, self._q[::-1] + side * self.half_height(p)])

    def half_height(self, p: Array) -> Array:
        """Half the height of the lens at p; zero beyond the corners."""
        t = np.abs(p) / self._p[-1]
        half: Array = _LENS * np.maximum(1.0 - t * t, 0.0)
        return half

    def pocket(self, points: Array, mesh: Array, across: Array) -> Array:
        """Points (N, 3) of the closed skin with those inside the lens moved into the mouth."""
        inside = np.clip(1.0 - across * across, 0.0, 1.0)
        width = self.half_height(mesh[:, 0]) / _LENS
        moved = points.copy()
        moved[:, 1] += _CAVITY * inside * np.clip(across, -1, 1) * width
        moved[:, 2] -= _DEPTH * inside * width
        return moved

    def _offset(self, plane: Array) -> Array:
        return plane[:, 1] - np.interp(np.abs(plane[:, 0]), self._p, self._q)
