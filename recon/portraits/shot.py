"""One face cut out of a picture: what the network takes, and what its sheet and texture take."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..face.face_coefficients import FaceCoefficients, pose_in_crop, pose_in_picture
from ..vision.crop import Box, Window, crop_square, crop_window

SMALLEST, LARGEST = 256, 1024
"""Sides in pixels between which a face is cut out for its sheet and texture, else as it is."""


@dataclass(frozen=True, eq=False)
class Shot:
    """A face in a picture.

    Attributes:
        box: of its landmarks, px of the picture.
        image_size: (height, width) of the picture.
        crop: (S, S, 3) uint8 RGB of the network's size.
        portrait: (T, T, 3) the same view, as large as the picture gives it.
    """

    box: Box
    image_size: tuple[int, int]
    crop: NDArray[np.uint8]
    portrait: NDArray[np.uint8]

    @classmethod
    def of(cls, frame: NDArray[np.uint8], box: Box, crop_size: int) -> Shot:
        """Cut a face out of an (H, W, 3) picture."""
        side = int(np.clip(round(crop_window(box).side), SMALLEST, LARGEST))
        height, width = frame.shape[:2]
        portrait = crop_square(frame, box, side)
        return cls(box, (height, width), crop_square(frame, box, crop_size), portrait)

    @property
    def window(self) -> Window:
        """The square of the picture that was cut out."""
        return crop_window(self.box)

    @property
    def filled(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom px of the portrait's part that is in the picture; see `View`.

        Beyond them the portrait is black.
        """
        window, side = self.window, len(self.portrait)
        (height, width), scale = self.image_size, side / self.window.side
        edges = (-window.left, -window.top, width - window.left, height - window.top)
        left, top, right, bottom = (min(max(edge * scale, 0.0), side) for edge in edges)
        return left, top, right, bottom

    def in_picture(self, face: FaceCoefficients) -> FaceCoefficients:
        """One face regressed from the crop, its pose in the picture's coordinates."""
        return replace(face, pose=pose_in_picture(face.pose, self.window, self.image_size))

    def in_crop(self, face: FaceCoefficients) -> FaceCoefficients:
        """One face of the picture, its pose in the crop's coordinates."""
        return replace(face, pose=pose_in_crop(face.pose, self.window, self.image_size))
