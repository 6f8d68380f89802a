"""Where the parts of a head are that a face model may lack: skull, eyes, chin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..morphable.model import MorphableModel

Points = NDArray[np.float64]

_SEMI_AXES = np.array([0.52, 0.74, 0.64])
"""Half width, height above the eyes and half length of a skull over its width at the ears."""


@dataclass(frozen=True)
class HeadFrame:
    """Sizes and places of one head in mm, in the model's coordinates.

    Attributes:
        centre: (3,) middle of the skull at the height of the eyes.
        semi_axes: (3,) of the ellipsoid that stands for the skull.
        eyes: (2, 3) middles of the subject's right and left eye.
        chin: (3,) tip of the chin.
    """

    centre: Points
    semi_axes: Points
    eyes: Points
    chin: Points

    @property
    def width(self) -> float:
        """Width of the face at the ears."""
        return float(self.semi_axes[0] / _SEMI_AXES[0])


def head_frame(landmarks: Points) -> HeadFrame:
    """The frame of a head from its 68 iBUG landmarks (68, 3) in mm."""
    eyes = np.stack([landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)])
    width = float(np.linalg.norm(landmarks[16] - landmarks[0]))
    middle = (landmarks[0, 0] + landmarks[16, 0]) / 2
    depth = landmarks[27, 2] - _SEMI_AXES[2] * width
    centre = np.array([middle, eyes[:, 1].mean(), depth])
    return HeadFrame(centre, _SEMI_AXES * width, eyes, landmarks[8])


def landmark_points(model: MorphableModel, vertices: NDArray[np.floating]) -> Points:
    """The 68 landmarks (68, 3) on vertices (V, 3).

    Raises:
        FacebenchError: the model lacks landmarks, so that nothing can be placed on the head.
    """
    if (model.landmarks < 0).any():
        missing = int((model.landmarks < 0).sum())
        raise FacebenchError(
            f"model {model.name} lacks {missing} of the 68 landmarks",
            "synthetic people need all of them; import it with --landmarks or --lay-landmarks",
        )
    return vertices[model.landmarks].astype(np.float64)
