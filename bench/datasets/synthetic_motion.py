"""How a synthetic person moves before the camera: smooth poses, expressions, blinks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...recon.morphable.model import MorphableModel
from ...recon.synthetic.appearance import bounded_expression, random_expression

Track = NDArray[np.float64]

_LONGEST_CYCLE = 120
"""Frames in which a person has gone through the whole range of poses."""


_LID_MM = 8.0
"""How far an upper lid moves to shut the eye."""


@dataclass(frozen=True, eq=False)
class Motion:
    """One person in one clip of N frames.

    Attributes:
        angles: (N, 3) pitch, yaw, roll in radians.
        shift: (N, 2) of the face's middle from the picture's, in widths of the face; y up.
        size: (N,) factor on the face's width.
        expression: (N, K) coefficients.
    """

    angles: Track
    shift: Track
    size: Track
    expression: Track


@dataclass(frozen=True)
class MotionRange:
    """How far a person moves.

    Attributes:
        degrees: pitch, yaw, roll.
        shift: of the face's middle, in widths of the face.
        size: share of the face's width.
        expression: strength of the expressions.
        away: share of the frames in which the face turns away or leaves the picture.
    """

    degrees: tuple[float, float, float]
    shift: tuple[float, float]
    size: float
    expression: float
    away: float


def random_motion(
    generator: np.random.Generator, model: MorphableModel, limits: MotionRange, n_frames: int
) -> Motion:
    """A smooth path through the range."""
    angles = _wander(generator, n_frames, 3) * np.radians(limits.degrees)
    shift = _wander(generator, n_frames, 2) * limits.shift
    size = 1 + _wander(generator, n_frames, 1)[:, 0] * limits.size
    leaving = _episode(generator, n_frames, limits.away)[:, None]
    if generator.random() < 0.5:
        angles = angles + leaving * [0.0, np.copysign(1.2, generator.normal()), 0.0]
    else:
        shift = shift + leaving * [np.copysign(2.2, generator.normal()), 0.0]
    return Motion(angles, shift, size, _expressions(generator, model, limits, n_frames))


def _wander(generator: np.random.Generator, n_frames: int, size: int) -> Track:
    """Tracks (N, size) within [-1, 1] that come close to both ends in every cycle."""
    cycle = min(n_frames, _LONGEST_CYCLE)
    time = np.arange(n_frames)[:, None] / cycle * (2 * np.pi)
    speed = generator.uniform(0.8, 1.6, (3, size)) * np.array([[1], [2], [3]])
    phase = generator.uniform(0, 2 * np.pi, (3, size))
    weight = np.array([0.65, 0.25, 0.1])[:, None]
    return np.asarray((weight[:, None] * np.sin(time * speed[:, None] + phase[:, None])).sum(0))


def _episode(generator: np.random.Generator, n_frames: int, share: float) -> Track:
    """A track (N,) that rises from 0 to 1 and falls again within a share of the frames."""
    if share == 0:
        return np.zeros(n_frames)
    start = generator.uniform(0.1, 0.9 - share) * n_frames
    through = np.clip((np.arange(n_frames) - start) / (share * n_frames), 0, 1)
    return np.asarray(np.sin(np.pi * through) ** 2)


def _expressions(
    generator: np.random.Generator, model: MorphableModel, limits: MotionRange, n_frames: int
) -> Track:
    """Neutral most of the time, now and then one of two expressions, with blinks."""
    targets = np.stack([random_expression(generator, model) for _ in range(2)])
    strength = np.clip(_wander(generator, n_frames, 2), 0, 1) ** 2 * limits.expression
    shut = _blinks(generator, n_frames)[:, None] * _shut_eyes(model)
    mixed = (strength @ targets).astype(np.float32)
    return np.stack([bounded_expression(model, one) for one in mixed]) + shut


def _shut_eyes(model: MorphableModel) -> Track:
    """Coefficients (K,) of shut eyes; zeros where no mode is named a blink."""
    blinks = [i for i, name in enumerate(model.expression_names) if "blink" in name.lower()]
    shut = np.zeros(model.expression_basis.shape[2])
    reach = np.linalg.norm(model.expression_basis[..., blinks], axis=1).max(axis=0)
    shut[blinks] = _LID_MM / reach
    return shut


def _blinks(generator: np.random.Generator, n_frames: int) -> Track:
    """How far the eyes are shut (N,): for about five frames in every eighty."""
    times = np.arange(generator.uniform(5, 40), n_frames, 80) + generator.uniform(-8, 8)
    apart = np.arange(n_frames)[:, None] - times
    return np.asarray(np.exp(-0.5 * (apart / 1.3) ** 2).sum(axis=1))
