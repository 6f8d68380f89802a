"""Where a face stands in its crop: one convention for crops, synthetic faces and the regressor."""

from __future__ import annotations

from dataclasses import dataclass

from ..morphable.landmarks import landmark_points
from ..morphable.model import MorphableModel

LANDMARK_SHARE = 0.62
"""Longer side of the frontal mean face's landmark box over the side of the crop."""


@dataclass(frozen=True)
class Framing:
    """Pose that puts the frontal mean face in the middle of a crop.

    Attributes:
        scale: f, normalised image units per mm.
        offset_x, offset_y: t_x, t_y in normalised image units.
    """

    scale: float
    offset_x: float
    offset_y: float


def frame_mean_face(model: MorphableModel) -> Framing:
    """Centre the landmark box of the mean face, its longer side `LANDMARK_SHARE` of the crop."""
    points = landmark_points(model.mean_shape, model.landmarks, model.name)[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 2.0 * LANDMARK_SHARE / float((high - low).max())
    centre = (low + high) / 2.0
    return Framing(scale, float(-scale * centre[0]), float(-scale * centre[1]))
