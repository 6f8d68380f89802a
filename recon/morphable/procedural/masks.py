"""Soft masks: where the parts of a face are, from 0 to 1 at every vertex."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .eyes import EYE_INNER, EYE_OUTER, IRIS_RADIUS, LID_EDGE, PUPIL, PUPIL_RADIUS, depth_inside_lids, lid_heights
from .mouth import MOUTH_CORNER, lower_lip_border, upper_lip_border
from .head import nostril
from .layout import BROW
from .solid import Array, norm, union
from .surface import Surface


def soft_step(values: Array) -> Array:
    """Smooth step from 0 at 0 to 1 at 1."""
    t = np.clip(values, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def spot(points: Array, centre: tuple[float, ...], radii: tuple[float, ...]) -> Array:
    """Gaussian bump (N,) over (N, D) points: 1 at the centre, e^-1/2 at one radius."""
    scaled = norm((points - np.array(centre)) / np.array(radii))
    return np.exp(-0.5 * scaled * scaled)


@dataclass(frozen=True)
class Masks:
    """Where the parts of the face are: each property is (V,), 0 to 1, the same on both sides."""

    surface: Surface

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
        return norm(self.view - np.array(PUPIL))

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
