"""From a face box to the square crop that networks take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..framing import LANDMARK_SHARE

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


def crop_square(frame: NDArray[np.uint8], box: Box, size: int) -> NDArray[np.uint8]:
    """Cut a `size` x `size` RGB crop around a box from an (H, W, 3) frame.

    The crop shares the box's centre and is `MARGIN` times its longer side; outside the frame it is
    black. Resampling is bilinear with area weighting when it shrinks.
    """
    side = MARGIN * max(box.width, box.height)
    left = box.left + box.width / 2 - side / 2
    top = box.top + box.height / 2 - side / 2
    inside = (
        int(np.floor(left)),
        int(np.floor(top)),
        int(np.ceil(left + side)),
        int(np.ceil(top + side)),
    )
    patch = Image.fromarray(frame).crop(inside)
    shift = (left - inside[0], top - inside[1])
    window = (shift[0], shift[1], shift[0] + side, shift[1] + side)
    return np.asarray(patch.resize((size, size), Image.Resampling.BILINEAR, box=window))
