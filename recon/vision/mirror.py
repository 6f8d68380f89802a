"""The 68 landmarks of a mirrored face."""

from __future__ import annotations

_ROWS = (
    tuple(range(16, -1, -1)),
    tuple(range(26, 16, -1)),
    tuple(range(27, 31)),
    tuple(range(35, 30, -1)),
    (45, 44, 43, 42, 47, 46),
    (39, 38, 37, 36, 41, 40),
    (54, 53, 52, 51, 50, 49, 48),
    (59, 58, 57, 56, 55),
    (64, 63, 62, 61, 60),
    (67, 66, 65),
)
"""Jaw, brows, bridge, nostrils, both eyes, outer lips above and below, inner lips likewise."""

MIRRORED = tuple(number for row in _ROWS for number in row)
"""For each iBUG point, counted from 0, the one that lies there in the mirror image."""
