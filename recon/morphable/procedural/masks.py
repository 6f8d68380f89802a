"""Soft masks of the parts of a face, and what follows from them: albedo, its modes, the regions."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..landmarks import REGION_NAMES
from .head import (
    EYE_INNER,
    EYE_OUTER,
    IRIS_RADIUS,
    LID_EDGE,
    MOUTH_CORNER,
    PUPIL_CENTRE,
    PUPIL_RADIUS,
    Array,
    depth_inside_lids,
    ellipsoid,
    lid_heights,
    lower_lip_border,
    norm,
    nostril,
    union,
    unroll,
    upper_lip_border,
)
from .surface import BROW, JAW, Surface

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


def soft_step(values: Array) -> Array:
    """Smooth step from 0 at 0 to 1 at 1."""
    t = np.clip(values, 0.0, 1.0)
    # The cubic with level ends: colours and modes then have no visible edge.
    return t * t * (3.0 - 2.0 * t)


def spot(points: Array, centre: tuple[float, ...], radii: tuple[float, ...]) -> Array:
    """Gaussian bump (N,) over (N, D) points: 1 at the centre, e^-1/2 at one radius."""
    scaled = norm((points - np.array(centre)) / np.array(radii))
    return np.exp(-0.5 * scaled * scaled)


class Masks:
    """Where the parts of the face are: each property is (V,), 0 to 1, the same on both sides."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface

    @cached_property
    def folded(self) -> Array:
        """(V, 3) skin points mirrored to the subject's left."""
        return self.surface.skin * np.where(self.surface.skin[:, :1] < 0, [-1.0, 1.0, 1.0], 1.0)

    @cached_property
    def view(self) -> Array:
        """(V, 2) front view x, y of the folded points."""
        return self.folded[:, :2]

    @cached_property
    def facing(self) -> Array:
        """1 on the front of the head, 0 from the ears on."""
        return soft_step((self.folded[:, 2] - 5.0) / 15.0)

    @cached_property
    def lid_depth(self) -> Array:
        """Signed mm inside the lids' border."""
        return depth_inside_lids(self.view)

    @cached_property
    def eyeball(self) -> Array:
        """The visible eyeball."""
        return soft_step(self.lid_depth / (0.7 * LID_EDGE)) * self.facing

    @cached_property
    def from_pupil(self) -> Array:
        """Distance in mm from the pupil's middle, seen from the front."""
        return norm(self.view - np.array(PUPIL_CENTRE))

    @cached_property
    def iris(self) -> Array:
        """The iris with the pupil."""
        return self.eyeball * soft_step((IRIS_RADIUS + 0.4 - self.from_pupil) / 0.8)

    @cached_property
    def pupil(self) -> Array:
        """The pupil."""
        return self.eyeball * soft_step((PUPIL_RADIUS + 0.5 - self.from_pupil) / 1.0)

    @cached_property
    def lashes(self) -> Array:
        """The upper lid's border."""
        middle = (EYE_INNER[1] + EYE_OUTER[1]) / 2
        line = soft_step(1.0 - np.abs(self.lid_depth) / 1.3)
        return line * soft_step((self.view[:, 1] - middle + 1.0) / 3.0) * self.facing

    @cached_property
    def lid_crease(self) -> Array:
        """The fold of the upper lid."""
        x, y = self.view.T
        upper, _ = lid_heights(x)
        width = soft_step((x - EYE_INNER[0]) / 4.0) * soft_step((EYE_OUTER[0] + 2.0 - x) / 4.0)
        return soft_step(1.0 - np.abs(y - upper - 3.4) / 1.6) * width * self.facing

    @cached_property
    def caruncle(self) -> Array:
        """The pink inner corner of the eye."""
        return self.eyeball * soft_step((20.0 - self.view[:, 0]) / 2.0)

    @cached_property
    def brow(self) -> Array:
        """The eyebrow: thick at its inner end, thin at the outer one."""
        line = np.array(BROW)
        x, y = self.view.T
        along = soft_step((x - 10.5) / 4.0) * soft_step((52.0 - x) / 10.0)
        middle = np.interp(x, line[:, 0], line[:, 1])
        half = np.interp(x, [12.0, 22.0, 50.0], [4.2, 4.4, 2.0])
        return along * soft_step(1.5 - np.abs(y - middle) / half) * self.facing

    @cached_property
    def inside_mouth(self) -> Array:
        """The pocket behind the lips."""
        return soft_step((1.0 - np.abs(self.surface.across)) / 0.35)

    @cached_property
    def lips(self) -> Array:
        """Both lips, without the pocket."""
        x, y = self.view.T
        above = soft_step((upper_lip_border(x) - y + 0.5) / 1.2)
        below = soft_step((y - lower_lip_border(x) + 0.5) / 1.2)
        width = soft_step((MOUTH_CORNER + 0.5 - x) / 1.5)
        return above * below * width * self.facing * (1.0 - self.inside_mouth)

    @cached_property
    def nostril(self) -> Array:
        """The hole of the nose."""
        return soft_step(1.0 - nostril(self.folded) / 1.6)

    @cached_property
    def scalp(self) -> Array:
        """Where hair grows on the head."""
        _, y, z = self.folded.T
        # Two half spaces blended: the hairline bends round the temple instead of cornering.
        temple = np.maximum(z - 4.0, 0.7 * (14.0 - y))
        return soft_step(0.5 - (union(94.0 - y, temple, 80.0) + 6.0) / 14.0)

    @cached_property
    def beard(self) -> Array:
        """Where a beard grows."""
        x, y, z = self.folded.T
        cheek = soft_step((-26.0 - y + 0.35 * np.maximum(x - 25.0, 0.0)) / 24.0)
        chin = soft_step((y + 100.0) / 14.0) * soft_step((z + 25.0) / 20.0)
        return cheek * chin * (1 - self.lips) * (1 - self.inside_mouth)

    @cached_property
    def bare_skin(self) -> Array:
        """What is neither eyeball, lip, brow, nostril nor the inside of the mouth."""
        covers = (self.eyeball, self.lips, self.inside_mouth, self.nostril, self.brow)
        left = np.ones(len(self.view))
        for cover in covers:
            # A product, not a sum: covers overlap, and bareness must stay between 0 and 1.
            left = left * (1.0 - cover)
        return left

    @cached_property
    def blush(self) -> Array:
        """Cheeks and nose tip, where blood shows."""
        cheeks = spot(self.folded, (40.0, -8.0, 45.0), (18.0, 15.0, 28.0))
        return cheeks + 0.6 * spot(self.folded, (0.0, -8.0, 88.0), (10.0, 9.0, 12.0))

    @cached_property
    def eye_shadow(self) -> Array:
        """The darker skin around the eye."""
        return spot(self.folded, (30.0, 31.0, 50.0), (13.0, 7.0, 25.0))

    @cached_property
    def ear_hollow(self) -> Array:
        """The hollow of the ear."""
        return spot(self.folded, (77.0, 15.0, -24.0), (5.0, 12.0, 7.0))


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
    # From the large to the small; each is painted over what lies under it.
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


def regions(masks: Masks) -> NDArray[np.uint8]:
    """Index (V,) into `REGION_NAMES` of every vertex."""
    side = np.where(masks.surface.skin[:, 0] < 0, "right", "left")
    # The first rule that holds wins: small parts come before the ones around them.
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
