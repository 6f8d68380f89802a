"""Smoothing of what changes over a video: pose, expression and light.

A Savitzky-Golay filter (1964) fits a parabola to the frames around each: it takes away the jitter
of a network that sees every frame on its own, and follows a nod or a smile without lag, which a
causal filter cannot. Where the face was not found for a while, the filter starts anew.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from .coefficients import FaceCoefficients, Floats


def smooth(
    faces: FaceCoefficients,
    frames: NDArray[np.integer],
    rate: float,
    seconds: float = 0.36,
    order: int = 2,
    gap: int = 5,
) -> FaceCoefficients:
    """Faces (N, ...) of one video with their pose, expression and light smoothed.

    Args:
        faces: poses in the picture's coordinates, not in crops that jump about.
        frames: (N,) ascending numbers of their frames. Missing frames within a run are bridged
            by straight lines.
        rate: frames per second.
        seconds: length of the filter's window; a third of a second holds a blink's half.
        order: of the polynomial.
        gap: frames without a face after which the filter starts anew.
    """
    # The filter needs an odd window.
    length = 2 * round(seconds * rate / 2.0) + 1
    pose = _as_curves(faces.pose)
    values = np.hstack([pose, faces.expression, faces.light.reshape(len(faces), -1)])
    # A face that comes back after a gap may be elsewhere: a parabola across would invent the way.
    runs = np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) > gap) + 1)
    smoothed = np.concatenate([_run(values[run], frames[run], length, order) for run in runs])
    size, last = faces.expression.shape[1], faces.light.shape
    return replace(
        faces,
        pose=np.hstack([smoothed[:, :6], np.exp(smoothed[:, 6:7])]),
        expression=smoothed[:, 7 : 7 + size],
        light=smoothed[:, 7 + size :].reshape(last),
    )


def _as_curves(pose: Floats) -> Floats:
    """Angles without jumps of 2π, the scale as its logarithm."""
    # 179° and -179° are neighbours; as numbers the filter would pass through 0.
    angles = np.unwrap(pose[:, :3], axis=0)
    return np.hstack([angles, pose[:, 3:6], np.log(pose[:, 6:])])


def _run(values: Floats, frames: NDArray[np.integer], length: int, order: int) -> Floats:
    """One run of frames; one shorter than the polynomial needs stays as it is."""
    every = np.arange(frames[0], frames[-1] + 1)
    longest = len(every) - 1 + len(every) % 2
    # A run shorter than the window is smoothed with the longest that it holds.
    window = min(length, longest)
    if window <= order + 1:
        return values
    # The last known frame at or before each; missing ones are interpolated, for the filter needs
    # equal steps.
    known = np.searchsorted(frames, every, side="right") - 1
    following = np.minimum(known + 1, len(frames) - 1)
    span = np.maximum(frames[following] - frames[known], 1)
    share = ((every - frames[known]) / span)[:, None]
    whole = values[known] + share * (values[following] - values[known])
    smoothed: Floats = savgol_filter(whole, window, order, axis=0)[frames - frames[0]]
    return smoothed
