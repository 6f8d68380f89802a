"""One colour for each class of a face mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_COLOURS = (
    *((20, 20, 20), (236, 188, 152), (150, 75, 20), (190, 110, 40), (40, 120, 230)),
    *((90, 200, 250), (120, 120, 140), (240, 140, 120), (250, 170, 160), (250, 220, 60)),
    *((250, 150, 60), (120, 10, 40), (220, 40, 90), (180, 20, 60), (200, 150, 110)),
    *((255, 240, 150), (60, 140, 70), (90, 50, 110), (40, 80, 120)),
)
"""Skin in skin's own colour, sides of one part in two shades, in BiSeNet order."""


def coloured(mask: NDArray[np.integer]) -> NDArray[np.uint8]:
    """RGB colours (..., 3) of classes (...) in BiSeNet order."""
    colours: NDArray[np.uint8] = np.array(_COLOURS, np.uint8)[mask]
    return colours
