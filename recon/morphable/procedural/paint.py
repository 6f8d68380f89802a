"""The mean face's colours and the fields of its albedo modes."""

from __future__ import annotations

import numpy as np

from .masks import Masks
from .solid import Array

SKIN = (0.72, 0.535, 0.44)
HAIR = (0.25, 0.18, 0.14)
LIP = (0.62, 0.34, 0.31)
INSIDE_MOUTH = (0.28, 0.08, 0.08)
SCLERA = (0.86, 0.83, 0.80)
IRIS = (0.34, 0.26, 0.18)
PUPIL = (0.04, 0.03, 0.03)
NOSTRIL = (0.22, 0.11, 0.09)
CARUNCLE = (0.74, 0.45, 0.41)
LASHES = (0.20, 0.14, 0.12)


def mean_albedo(masks: Masks) -> Array:
    """RGB (V, 3) of the mean face."""
    colour: Array = np.tile(np.array(SKIN), (len(masks.view), 1))
    colour = colour + masks.blush[:, None] * np.array([0.02, -0.025, -0.02])
    colour = colour - masks.eye_shadow[:, None] * np.array([0.09, 0.10, 0.09])
    dark = 0.22 * masks.lid_crease + 0.4 * masks.ear_hollow
    colour = colour * (1.0 - dark[:, None])
    layers = [
        (0.55 * masks.scalp, HAIR),
        (0.85 * masks.brow, HAIR),
        (masks.lips, LIP),
        (masks.inside_mouth, INSIDE_MOUTH),
        (masks.nostril, NOSTRIL),
        (masks.eyeball, SCLERA),
        (masks.caruncle, CARUNCLE),
        (masks.iris, IRIS),
        (masks.pupil, PUPIL),
        (0.8 * masks.lashes, LASHES),
    ]
    for cover, paint in layers:
        colour = colour + cover[:, None] * (np.array(paint) - colour)
    return colour


def albedo_fields(masks: Masks) -> dict[str, Array]:
    """Colour change (V, 3) of one standard deviation of each albedo mode, before orthogonality."""
    skin = masks.bare_skin
    fields = {
        "skin_tone": (skin + 0.6 * masks.lips + 0.3 * masks.brow, (-0.09, -0.088, -0.08)),
        "yellow_blue": (skin, (0.007, 0.004, -0.018)),
        "brow_darkness": (masks.brow + 0.6 * masks.scalp, (-0.07, -0.06, -0.05)),
        "beard_shadow": (skin * masks.beard, (-0.075, -0.065, -0.05)),
        "blush": (skin * masks.blush, (0.02, -0.022, -0.018)),
        "lip_colour": (masks.lips, (0.02, -0.04, -0.028)),
        "eye_shadow": (skin * masks.eye_shadow, (-0.07, -0.07, -0.05)),
        "iris_colour": (masks.iris * (1 - masks.pupil), (-0.02, 0.05, 0.11)),
    }
    return {name: mask[:, None] * np.array(colour) for name, (mask, colour) in fields.items()}
