"""A hash of what a face crop looks like: close for resaved, resized or relit copies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .quality import grey_values

SIDE, BITS_A_SIDE = 32, 8
HASH_BITS = BITS_A_SIDE**2


def perceptual_hash(image: NDArray[np.uint8]) -> int:
    """64 bits of an RGB image (S, S, 3): which of its low cosine frequencies exceed their median.

    The frequencies 1 to 8 along each axis of the 32 px grey image (Zauner 2010, "Implementation
    and benchmarking of perceptual image hash functions", DCT hash). Brightness and contrast do not
    change it.
    """
    waves = _COSINES @ grey_values(image, SIDE) @ _COSINES.T
    bits = (waves > np.median(waves)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _cosines() -> NDArray[np.float64]:
    """Rows 1 to 8 of the discrete cosine transform (DCT-II) of 32 samples."""
    wave, place = np.mgrid[1 : BITS_A_SIDE + 1, 0:SIDE]
    table: NDArray[np.float64] = np.cos(np.pi * wave * (2 * place + 1) / (2 * SIDE))
    return table


_COSINES = _cosines()
