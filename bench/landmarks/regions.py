"""The six parts of a face that error tables show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

FACE_PARTS: Mapping[str, tuple[str, ...]] = {
    "nose": ("nose",),
    "mouth": ("upper_lip", "lower_lip"),
    "eyes": ("left_eye_socket", "right_eye_socket", "left_eye", "right_eye"),
    "cheeks": ("left_cheek", "right_cheek"),
    "forehead": ("forehead", "left_brow", "right_brow"),
    "jaw": ("jaw",),
}
"""The model regions of each part. Ears, neck, scalp and the inside of the mouth are in none."""


def face_parts(
    region: NDArray[np.integer], region_names: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    """For each part which vertices (V,) belong to it, from a model's region of each vertex."""
    names = np.asarray(region_names)
    return {
        part: np.isin(region, np.flatnonzero(np.isin(names, regions)))
        for part, regions in FACE_PARTS.items()
    }
