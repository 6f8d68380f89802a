"""From a face box to the square crop that networks take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .framing import LANDMARK_SHARE

MARGIN = 1.0 / LANDMARK_SHARE
"""Side of the crop over the longer side of the landmark box: the framing of `recon.framing`."""


@dataclass(frozen=True)
class Box:
    """The axis-aligned box of the 68 landmarks in pixels of the frame: left, top, width, height.

    It reaches from the brows to the chin and from ear to ear; detectors whose own boxes differ
    convert them to this.
    """

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Window:
    """The square of a frame that becomes a crop: left and top edge and side, in pixels."""

    left: float
    top: float
    side: float

    def to_frame(self, points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Points (..., 2) of a crop of `size` px as points of the frame; integers are centres."""
        corner = np.array([self.left, self.top], dtype=np.float32)
        return (points + 0.5) * np.float32(self.side / size) + corner - np.float32(0.5)


def crop_window(box: Box) -> Window:
    """The square around a box: its centre, and `MARGIN` times its longer side."""
    side = MARGIN * max(box.width, box.height)
    left = box.left + box.width / 2 - side / 2
    top = box.top + box.height / 2 - side / 2
    return Window(left, top, side)


def crop_square(frame: NDArray[np.uint8], box: Box, size: int) -> NDArray[np.uint8]:
    """Cut a `size` x `size` RGB crop around a box from an (H, W, 3) frame.

    The crop shares the box's centre and is `MARGIN` times its longer side; outside the frame it is
    black. Resampling is bilinear with area weighting when it shrinks.
    """
    window = crop_window(box)
    left, top, side = window.left, window.top, window.side
    inside = (
        int(np.floor(left)),
        int(np.floor(top)),
        int(np.ceil(left + side)),
        int(np.ceil(top + side)),
    )
    patch = Image.fromarray(frame).crop(inside)
    shift = (left - inside[0], top - inside[1])
    within = (shift[0], shift[1], shift[0] + side, shift[1] + side)
    return np.asarray(patch.resize((size, size), Image.Resampling.BILINEAR, box=within))
