"""Which named region every vertex belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..regions import REGION_NAMES
from .eyes import LID_EDGE
from .head import unroll
from .layout import JAW
from .masks import Masks
from .solid import ellipsoid, norm


def regions(masks: Masks) -> NDArray[np.uint8]:
    """Index (V,) into `REGION_NAMES` of every vertex."""
    side = np.where(masks.surface.skin[:, 0] < 0, "right", "left")
    names = np.select(*_region_rules(masks), default="cheek")
    paired = np.isin(names, ["brow", "eye_socket", "eye", "cheek", "ear"])
    full = np.where(paired, np.char.add(np.char.add(side, "_"), names), names)
    index = {name: i for i, name in enumerate(REGION_NAMES)}
    return np.array([index[name] for name in full.tolist()], dtype=np.uint8)


def _region_rules(masks: Masks) -> tuple[list[NDArray[np.bool_]], list[str]]:
    x, y, z = masks.folded.T
    jaw = unroll(np.array(JAW))
    plane = unroll(masks.folded)
    below = plane[:, 1] < np.interp(plane[:, 0], jaw[:, 0], jaw[:, 1]) - 9.0
    upper_lip = masks.surface.across > 0
    rules = {
        "mouth": np.abs(masks.surface.across) < 0.999,
        "eye": (masks.lid_depth > 0.9 * LID_EDGE) & (z > 0),
        "upper_lip": (masks.lips > 0.5) & upper_lip,
        "lower_lip": (masks.lips > 0.5) & ~upper_lip,
        "brow": masks.brow > 0.5,
        "eye_socket": (norm((masks.view - [31.0, 32.0]) / [21.0, 14.0]) < 1) & (z > 0),
        "nose": (np.abs(y - 7.0) < 28.0) & (x < np.interp(y, [-14, 10, 32], [20, 14, 8])) & (z > 0),
        "ear": ellipsoid(masks.folded, (74, 12, -34), (11, 33, 17)) < 0,
        "neck": below & (y < -20),
        "head": (masks.scalp > 0.5) | (z < -30),
        "jaw": (y < -54) | ((y < -30) & (z < 10)),
        "forehead": y > 44,
    }
    return list(rules.values()), list(rules)
