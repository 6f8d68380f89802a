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
        [0, 0.35, 0.34, 0.02],
        [30, 0.36, 0.36, 0.00],
        [48, 0.43, 0.40, 0.00],
        [62, 0.70, 0.47, 0.00],
        [78, 1.00, 0.52, 0.00],
        [105, 1.24, 0.58, 0.00],
        [150, 1.36, 0.64, 0.00],
        [240, 1.42, 0.70, 0.00],
        [420, 1.40, 0.74, 0.00],
    ]
)

_THROAT = 0.36
_BEHIND_MM = 3.0


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
        """Stand the neck where the model has one."""
        frame = head_frame(landmark_points(model, model.mean_shape))
        below = np.interp(np.linspace(0, 9, ROWS), np.arange(10), _PROFILE[:, 0])
        sizes = [np.interp(below, _PROFILE[:, 0], column) for column in _PROFILE.T[1:]]
        half_width, half_depth, back = sizes
        azimuth = np.arange(COLUMNS) * (2 * np.pi / COLUMNS)
        x = half_width[:, None] * np.sin(azimuth)
        z = half_depth[:, None] * np.cos(azimuth) - back[:, None]
        outline = np.stack([x, np.zeros_like(x), z], axis=-1).reshape(-1, 3)
        axis = _neck_axis(model, frame)
        return cls(np.repeat(below, COLUMNS), outline, axis, sheet(ROWS, COLUMNS))

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


def _neck_axis(model: MorphableModel, frame: HeadFrame) -> float:
    """The axis that keeps the sheet's throat just behind the model's own, where it has one."""
    neck = model.mean_shape[model.vertices_of("neck")].astype(np.float64)
    below, aside = frame.chin[1] - neck[:, 1], np.abs(neck[:, 0] - frame.chin[0])
    throat = neck[(below > 10) & (below < 45) & (aside < 15)]
    if len(throat) < 3:
        return -0.12
    front = np.median(throat[:, 2]) - _BEHIND_MM - frame.centre[2]
    return float(front / frame.width - _THROAT)
