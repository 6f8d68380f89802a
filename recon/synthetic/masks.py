"""The 19 classes of a face mask and how a model's regions map to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..morphable.model import MorphableModel

MASK_ORDER = "bisenet"
"""Name of the class order below, kept beside every mask."""

CLASS_NAMES = (
    "background",
    "skin",
    "l_brow",
    "r_brow",
    "l_eye",
    "r_eye",
    "eye_glasses",
    "l_ear",
    "r_ear",
    "ear_ring",
    "nose",
    "mouth",
    "u_lip",
    "l_lip",
    "neck",
    "necklace",
    "cloth",
    "hair",
    "hat",
)
"""Classes by number. `l_` and `r_` are the subject's left and right, except `l_lip`: lower lip."""

CLASS = {name: number for number, name in enumerate(CLASS_NAMES)}

REGION_CLASS = {
    "forehead": "skin",
    "left_brow": "l_brow",
    "right_brow": "r_brow",
    "left_eye_socket": "skin",
    "right_eye_socket": "skin",
    "left_eye": "l_eye",
    "right_eye": "r_eye",
    "nose": "nose",
    "left_cheek": "skin",
    "right_cheek": "skin",
    "upper_lip": "u_lip",
    "lower_lip": "l_lip",
    "mouth": "mouth",
    "jaw": "skin",
    "left_ear": "l_ear",
    "right_ear": "r_ear",
    "neck": "neck",
    "head": "skin",
}
"""Mask class of each region name; a name not listed counts as skin."""


def vertex_classes(model: MorphableModel) -> NDArray[np.uint8]:
    """Mask class (V,) of each vertex of a model."""
    table = [CLASS[REGION_CLASS.get(name, "skin")] for name in model.region_names]
    return np.array(table, np.uint8)[model.region]
