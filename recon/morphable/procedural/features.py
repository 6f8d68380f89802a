"""Eyes and mouth: the lids' opening with the eyeball behind it, and the lips' line with its pocket.

Both are described for the subject's left (x > 0). In the plane of the mesh the mouth line is a
lens a few mm tall: its upper edge is the inner border of the upper lip, its lower edge that of the
lower lip. On the skin both edges lie on the line but for a hair's breadth, and the inside of the
lens becomes a pocket that opens with the jaw.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from .head import EYEBALL, EYEBALL_RADII, Array, front, norm, unroll

EYE_INNER = (16.4, 29.0)
EYE_OUTER = (45.2, 30.8)
PUPIL_CENTRE = (31.3, 30.2)
IRIS_RADIUS = 5.9
PUPIL_RADIUS = 2.1
LID_EDGE = 0.9
"""Millimetres from the lid's border to where the lid touches the eyeball."""

_UPPER, _LOWER = 5.1, 4.8
_DEEPEST = 3.5

MOUTH_CORNER = 25.2
"""Half the width of the mouth line, mm."""

_LENS = 3.2
_GAP = 0.05
_RELIEF = 8.0
_DEPTH = 16.0
_CAVITY = 9.0


def lid_heights(x: Array) -> tuple[Array, Array]:
    """Heights (upper, lower) of the lids' borders at x; equal at and beyond the corners."""
    t = np.clip((x - EYE_INNER[0]) / (EYE_OUTER[0] - EYE_INNER[0]), 0.0, 1.0)
    chord = EYE_INNER[1] + (EYE_OUTER[1] - EYE_INNER[1]) * t
    arch = np.sqrt(np.maximum(4 * t * (1 - t), 0.0))
    # Pulls the arch in at the corners: a plain ellipse has no canthus.
    arch = arch * (0.35 + 0.65 * arch)
    return chord + _UPPER * arch * (1.08 - 0.16 * t), chord - _LOWER * arch * (0.90 + 0.2 * t)


def lid_borders() -> tuple[Array, Array]:
    """Dense polylines (M, 2) of the upper and the lower lid, both from inner to outer corner."""
    angle = np.linspace(0.0, np.pi, 241)
    # Cosine spacing puts points at the corners, where the border turns fastest.
    x = EYE_INNER[0] + (EYE_OUTER[0] - EYE_INNER[0]) * (1 - np.cos(angle)) / 2
    upper, lower = lid_heights(x)
    return np.column_stack([x, upper]), np.column_stack([x, lower])


def depth_inside_lids(points: Array) -> Array:
    """Distance (N,) of (N, 2) front points to the lids' border, positive in the opening."""
    away, _ = cKDTree(np.vstack(lid_borders())).query(points)
    upper, lower = lid_heights(points[:, 0])
    inside = (points[:, 1] < upper) & (points[:, 1] > lower)
    depth: Array = np.where(inside, away, -away)
    return depth


def lid_contact() -> Array:
    """Closed polyline (M, 2) along which the lids touch the eyeball."""
    upper, lower = lid_borders()
    middle = (upper + lower) / 2
    half = (upper - lower)[:, 1] / 2
    shrink = np.maximum(half - LID_EDGE, 0.0)[:, None]
    centre_x = (EYE_INNER[0] + EYE_OUTER[0]) / 2
    middle[:, 0] = centre_x + (middle[:, 0] - centre_x) * 0.94
    offset = np.array([0.0, 1.0]) * shrink
    ring = np.vstack([middle + offset, (middle - offset)[::-1]])
    apart: Array = ring[np.concatenate([shrink[:, 0] > 0, shrink[::-1, 0] > 0])]
    return apart


def circle_around_pupil(radius: float) -> Array:
    """Closed polyline (M, 2) around the pupil, cut where the lids cover it."""
    angle = np.linspace(0.0, 2 * np.pi, 181)
    ring = np.array(PUPIL_CENTRE) + radius * np.column_stack([np.cos(angle), np.sin(angle)])
    # An edge under the lid would cross the lid's own curve in the mesh.
    return ring[depth_inside_lids(ring) > LID_EDGE + 0.3]


def eyeball_depth(points: Array) -> Array:
    """Depth z (N,) of the eyeball's front at (N, 2) front points."""
    scaled = (points - np.array(EYEBALL[:2])) / np.array(EYEBALL_RADII[:2])
    return EYEBALL[2] + EYEBALL_RADII[2] * np.sqrt(np.maximum(1 - norm(scaled) ** 2, 0.0))


def set_eyes(points: Array) -> Array:
    """Skin points (N, 3) with those in the lids' openings, both sides, pushed to the eyeball."""
    view = np.column_stack([np.abs(points[:, 0]), points[:, 1]])
    # A ramp of the lid's thickness: a step would give walls of slivers.
    share = np.clip(depth_inside_lids(view) / LID_EDGE, 0.0, 1.0)
    behind = np.clip(eyeball_depth(view), points[:, 2] - _DEEPEST, points[:, 2] - 0.5)
    moved = points.copy()
    moved[:, 2] += share * (behind - points[:, 2])
    return moved


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
        # Only a strip of 8 mm beside the line is stretched; beyond it mesh and skin agree.
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
        # A parabola across the lens: the pocket closes smoothly at both lips.
        inside = np.clip(1.0 - across * across, 0.0, 1.0)
        width = self.half_height(mesh[:, 0]) / _LENS
        moved = points.copy()
        moved[:, 1] += _CAVITY * inside * np.clip(across, -1, 1) * width
        moved[:, 2] -= _DEPTH * inside * width
        return moved

    def _offset(self, plane: Array) -> Array:
        return plane[:, 1] - np.interp(np.abs(plane[:, 0]), self._p, self._q)
