"""Spectacles: two rims, a bridge and the temples as tubes, and the lenses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .grid import fan, sheet
from .head_frame import HeadFrame, Points
from .look import Glasses

_AROUND = 5
_RIM = 28
_BAR = 6
_LENS = _RIM + 1


def glasses_triangles() -> NDArray[np.int64]:
    """Triangles (F, 3) of every pair: rims, bridge and temples, then the two lenses."""
    pieces, start = [], 0
    for piece, size in [
        *[(sheet(_RIM + 1, _AROUND), (_RIM + 1) * _AROUND)] * 2,
        *[(sheet(_BAR, _AROUND), _BAR * _AROUND)] * 3,
        *[(fan(_RIM), _LENS)] * 2,
    ]:
        pieces.append(piece + start)
        start += size
    return np.concatenate(pieces)


GLASSES_FRAME_VERTICES = 2 * (_RIM + 1) * _AROUND + 3 * _BAR * _AROUND
GLASSES_VERTICES = GLASSES_FRAME_VERTICES + 2 * _LENS


def glasses_vertices(frame: HeadFrame, glasses: Glasses | None, front: float) -> Points:
    """Vertices (GLASSES_VERTICES, 3) in mm; without glasses, or lenses, they fall into one point.

    Args:
        frame: the head.
        glasses: what is worn, or None.
        front: z in mm of the plane of the rims.
    """
    if glasses is None:
        return np.tile(frame.centre, (GLASSES_VERTICES, 1))
    right, left = (_rim(eye, frame, glasses, front) for eye in frame.eyes)
    lines = [right, left, _bridge(frame, glasses, front), *_temples(frame, glasses, front)]
    tubes = [_tube(line, glasses.tube) for line in lines]
    lenses = [_lens(rim) if glasses.dark else _nothing(frame) for rim in (right, left)]
    return np.concatenate([*tubes, *lenses])


def _rim(eye: Points, frame: HeadFrame, glasses: Glasses, front: float) -> Points:
    """A closed superellipse (_RIM + 1, 3) around an eye, its outer side bent back."""
    angle = np.linspace(0, 2 * np.pi, _RIM + 1)
    apart = np.linalg.norm(frame.eyes[1] - frame.eyes[0])
    power = 2 / glasses.squareness
    x, y = (
        np.sign(wave) * np.abs(wave) ** power * half * apart
        for wave, half in zip((np.cos(angle), np.sin(angle)), glasses.half_size, strict=True)
    )
    outward = np.abs(eye[0] + x - frame.centre[0])
    return np.stack([eye[0] + x, eye[1] - 2 + y, front - outward**2 * 0.0022], axis=1)


def _bridge(frame: HeadFrame, glasses: Glasses, front: float) -> Points:
    apart = np.linalg.norm(frame.eyes[1] - frame.eyes[0])
    half = apart * max(0.5 - glasses.half_size[0], 0.03)
    x = np.linspace(-half, half, _BAR)
    rise = 3 * (1 - (x / half) ** 2)
    middle = frame.eyes.mean(axis=0)
    return np.stack([middle[0] + x, middle[1] + 1 + rise, np.full(_BAR, front)], axis=1)


def _temples(frame: HeadFrame, glasses: Glasses, front: float) -> list[Points]:
    apart = np.linalg.norm(frame.eyes[1] - frame.eyes[0])
    bars = []
    for side, eye in zip((-1, 1), frame.eyes, strict=True):
        reach = eye[0] + side * glasses.half_size[0] * apart
        hinge = [reach, eye[1] + 4, front - (reach - frame.centre[0]) ** 2 * 0.0022]
        ear = [frame.centre[0] + side * 1.02 * frame.semi_axes[0], eye[1] + 2, frame.centre[2] - 8]
        bars.append(np.linspace(hinge, ear, _BAR))
    return bars


def _tube(line: Points, radius: float) -> Points:
    """Rings (len(line) * _AROUND, 3) around a polyline."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    side = np.cross(along, [0.02, 0.05, 1.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-12
    up = np.cross(side, along)
    angle = np.arange(_AROUND) * (2 * np.pi / _AROUND)
    ring = np.cos(angle)[:, None] * side[:, None] + np.sin(angle)[:, None] * up[:, None]
    rings: Points = (line[:, None] + radius * ring).reshape(-1, 3)
    return rings


def _lens(rim: Points) -> Points:
    return np.concatenate([rim[:-1], rim[:-1].mean(axis=0, keepdims=True)])


def _nothing(frame: HeadFrame) -> Points:
    return np.tile(frame.centre, (_LENS, 1))
