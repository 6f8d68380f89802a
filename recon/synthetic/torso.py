"""Neck, shoulders and clothes as one sheet below the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..morphable.model import MorphableModel
from .grid import sheet
from .head_frame import HeadFrame, Points, head_frame, landmark_points

COLUMNS = 40
ROWS = 20

_PROFILE = np.array(
    # depth below the chin in mm, half width, half depth over the head's width, shift backwards
    [
        [-35, 0.30, 0.22, 0.10],
        [0, 0.37, 0.35, 0.04],
        [40, 0.38, 0.38, 0.00],
        [65, 0.46, 0.42, 0.00],
        [80, 0.72, 0.47, 0.00],
        [95, 1.02, 0.52, 0.00],
        [120, 1.26, 0.58, 0.00],
        [165, 1.38, 0.64, 0.00],
        [240, 1.42, 0.70, 0.00],
        [420, 1.40, 0.74, 0.00],
    ]
)


@dataclass(frozen=True)
class TorsoSheet:
    """The sheet fitted under one model's mean head.

    Attributes:
        below: (V,) depth below the chin in mm.
        outline: (V, 3) x and z from the neck's axis over the head's width, and 0 between.
        axis: z of the neck's axis from the skull's centre over the head's width.
        triangles: (F, 3).
    """

    below: Points
    outline: Points
    axis: float
    triangles: NDArray[np.int64]

    @classmethod
    def under(cls, model: MorphableModel) -> TorsoSheet:
        """Take the neck's thickness from the model where it has a neck."""
        frame = head_frame(landmark_points(model, model.mean_shape))
        below = np.interp(np.linspace(0, 9, ROWS), np.arange(10), _PROFILE[:, 0])
        sizes = [np.interp(below, _PROFILE[:, 0], column) for column in _PROFILE.T[1:]]
        half_width, half_depth, back = sizes
        azimuth = np.arange(COLUMNS) * (2 * np.pi / COLUMNS)
        x = half_width[:, None] * np.sin(azimuth)
        z = half_depth[:, None] * np.cos(azimuth) - back[:, None]
        outline = np.stack([x, np.zeros_like(x), z], axis=-1).reshape(-1, 3)
        slimmer, axis = _neck(model, frame)
        thin = np.interp(np.repeat(below, COLUMNS), [60, 100], [slimmer, 1.0])
        return cls(np.repeat(below, COLUMNS), outline * thin[:, None], axis, sheet(ROWS, COLUMNS))

    @property
    def follow(self) -> Points:
        """Share (V,) of the head's rotation that each vertex takes part in."""
        return np.interp(self.below, [-35, 90], [1.0, 0.0])

    @property
    def texture(self) -> Points:
        """Texture coordinates (V, 2)."""
        return np.stack([self.outline[:, 0] * 2, self.below / 80], axis=1)

    def vertices(self, frame: HeadFrame) -> Points:
        """The sheet (V, 3) in mm under a head."""
        points = frame.centre + self.outline * frame.width
        points[:, 2] += self.axis * frame.width
        points[:, 1] = frame.chin[1] - self.below
        return points


def _neck(model: MorphableModel, frame: HeadFrame) -> tuple[float, float]:
    """Thickness over the profile's and axis of the model's own neck, kept inside it."""
    neck = model.mean_shape[model.vertices_of("neck")].astype(np.float64)
    low = neck[(neck[:, 1] < frame.chin[1] - 10) & (neck[:, 1] > frame.chin[1] - 60)]
    if len(low) < 20:
        return 1.0, -0.12
    half = np.ptp(low[:, 0]) / 2 / frame.width / 0.37
    back = (low[:, 2].max() - frame.centre[2]) / frame.width - 0.37
    return float(min(1.0, 0.9 * half)), float(min(-0.12, back - 0.04))
