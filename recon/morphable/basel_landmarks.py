"""Where the 68 iBUG landmarks lie on the Basel Face Model: vertex numbers and named points."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError

WHOLE_2009, FRONT_2009 = 53490, 35709
"""Vertices of BFM 2009, and of its widely used crop to the face's front."""

_OF_WHOLE = """
22148 22424 21928 21311 43511 45193 46441 47410 48189 48970 49942 51199 52888 33953 33280 32744
32984 38970 39667 40057 40262 40429 41168 41334 41542 41936 42642 8290 8306 8316 8321 6525 7300
8333 9364 10137 2215 3886 4920 5828 4801 3640 10730 11628 12658 14341 12928 11767 5522 6025 7570
8344 9118 10669 11070 9792 9019 8374 7729 6954 5909 7450 8352 9256 10812 9012 8367 7722
"""
_OF_FRONT = """
16644 16888 16467 16264 32244 32939 33375 33654 33838 34022 34312 34766 35472 27816 27608 27208
27440 28111 28787 29177 29382 29549 30288 30454 30662 31056 31716 8161 8177 8187 8192 6515 7243
8204 9163 9883 2215 3886 4920 5828 4801 3640 10455 11353 12383 14066 12653 11492 5522 6025 7495
8215 8935 10395 10795 9555 8836 8236 7636 6915 5909 7384 8223 9064 10537 8829 8229 7629
"""
_VERTICES: Mapping[int, str] = {WHOLE_2009: _OF_WHOLE, FRONT_2009: _OF_FRONT}

IBUG_OF_NAME: Mapping[str, int] = {
    "center.chin.tip": 8,
    "center.nose.tip": 30,
    "right.eye.corner_outer": 36,
    "right.eye.corner_inner": 39,
    "left.eye.corner_inner": 42,
    "left.eye.corner_outer": 45,
    "right.lips.corner": 48,
    "center.lips.upper.outer": 51,
    "left.lips.corner": 54,
    "center.lips.lower.outer": 57,
    "center.lips.upper.inner": 62,
    "center.lips.lower.inner": 66,
}
"""iBUG landmark, counted from 0, of the points named in the 2017 and 2019 files.

Only names that mean an iBUG point; those files name no jaw line, brow ends or nostrils.
"""


def landmarks_2009(n_vertices: int, where: str) -> NDArray[np.int64]:
    """Vertices (68,), counted from 0, in BFM 2009 or its front crop.

    Raises:
        FacebenchError: the model has another number of vertices, so that no table fits.
    """
    if n_vertices not in _VERTICES:
        raise FacebenchError(
            f"{where}: {n_vertices} vertices, and no landmarks are known for that many",
            f"BFM 2009 has {WHOLE_2009}, its front crop {FRONT_2009}; is it another model's file?",
        )
    return np.array(_VERTICES[n_vertices].split(), np.int64)
