"""The opening between the lids and the eyeball behind it, for the subject's left eye (x > 0)."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from .head import EYEBALL, EYEBALL_RADII
from .solid import Array, norm

EYE_INNER = (16.4, 29.0)
EYE_OUTER = (45.2, 30.8)
PUPIL = (31.3, 30.2)
IRIS_RADIUS = 5.9
PUPIL_RADIUS = 2.1
LID_EDGE = 0.9
"""Millimetres from the lid's border to where the lid touches the eyeball."""

_UPPER, _LOWER = 5.1, 4.8
_DEEPEST = 3.5


def lid_heights(x: Array) -> tuple[Array, Array]:
    """Heights (upper, lower) of the lids' borders at x; equal at and beyond the corners."""
    t = np.clip((x - EYE_INNER[0]) / (EYE_OUTER[0] - EYE_INNER[0]), 0.0, 1.0)
    chord = EYE_INNER[1] + (EYE_OUTER[1] - EYE_INNER[1]) * t
    arch = np.sqrt(np.maximum(4 * t * (1 - t), 0.0))
    arch = arch * (0.35 + 0.65 * arch)
    return chord + _UPPER * arch * (1.08 - 0.16 * t), chord - _LOWER * arch * (0.90 + 0.2 * t)


def lid_borders() -> tuple[Array, Array]:
    """Dense polylines (M, 2) of the upper and the lower lid, both from inner to outer corner."""
    angle = np.linspace(0.0, np.pi, 241)
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
    ring = np.array(PUPIL) + radius * np.column_stack([np.cos(angle), np.sin(angle)])
    return ring[depth_inside_lids(ring) > LID_EDGE + 0.3]


def eyeball_depth(points: Array) -> Array:
    """Depth z (N,) of the eyeball's front at (N, 2) front points."""
    scaled = (points - np.array(EYEBALL[:2])) / np.array(EYEBALL_RADII[:2])
    return EYEBALL[2] + EYEBALL_RADII[2] * np.sqrt(np.maximum(1 - norm(scaled) ** 2, 0.0))


def set_eyes(points: Array) -> Array:
    """Skin points (N, 3) with those in the lids' openings, both sides, pushed to the eyeball."""
    view = np.column_stack([np.abs(points[:, 0]), points[:, 1]])
    share = np.clip(depth_inside_lids(view) / LID_EDGE, 0.0, 1.0)
    behind = np.clip(eyeball_depth(view), points[:, 2] - _DEEPEST, points[:, 2] - 0.5)
    moved = points.copy()
    moved[:, 2] += share * (behind - points[:, 2])
    return moved
