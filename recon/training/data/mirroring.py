"""Photographs mirrored at random, with landmarks and labels changing sides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...recipes.kinds import AnyRecipe
from ...vision.landmarks import MIRRORED
from ...vision.parsing import swap_sides
from .augmentation import augmentation
from .shards import Sample

Change = Callable[[Sample, np.random.Generator], Sample]


def mirrored(sample: Sample) -> Sample:
    """The mirror image: landmarks renumbered, left and right labels exchanged."""
    landmarks = sample.landmarks[list(MIRRORED)].copy()
    landmarks[:, 0] = sample.image.shape[1] - 1 - landmarks[:, 0]
    image = np.ascontiguousarray(sample.image[:, ::-1])
    mask = np.ascontiguousarray(swap_sides(sample.mask)[:, ::-1])
    return Sample(image, landmarks, mask)


def random_change(recipe: AnyRecipe) -> Change:
    """The random change of a training photograph that a recipe asks for."""
    change = augmentation(recipe.augmentation)
    if not recipe.flip:
        return change

    def changed(sample: Sample, random: np.random.Generator) -> Sample:
        turned = mirrored(sample) if random.random() < recipe.flip else sample
        return change(turned, random)

    return changed
