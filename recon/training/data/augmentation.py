"""Random changes of a training photograph, with landmarks and mask following."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...recipes.parts import AugmentationRecipe
from .covering import covered
from .shards import Sample


def augmentation(recipe: AugmentationRecipe) -> Callable[[Sample, np.random.Generator], Sample]:
    """The random change that a recipe asks for."""

    def change(sample: Sample, random: np.random.Generator) -> Sample:
        zoom = math.exp(random.uniform(-recipe.zoom, recipe.zoom))
        turn = math.radians(random.uniform(-recipe.turn, recipe.turn))
        shift = random.uniform(-recipe.shift, recipe.shift, 2) * sample.image.shape[0]
        moved = moved_sample(sample, zoom, turn, shift)
        gain = 1.0 + random.uniform(-recipe.gain, recipe.gain, 3)
        contrast = 1.0 + random.uniform(-recipe.contrast, recipe.contrast)
        return hidden(recoloured(moved, gain, contrast), random)

    def hidden(sample: Sample, random: np.random.Generator) -> Sample:
        # Drawn last, and nothing where none is asked for: what a seed gives elsewhere stays.
        asked = recipe.cover > 0 and random.random() < recipe.cover
        return covered(sample, random) if asked else sample

    return change


def moved_sample(sample: Sample, zoom: float, turn: float, shift: NDArray[np.floating]) -> Sample:
    """Zoom and turn about the centre of the image, then shift; what comes in from outside is black.

    Args:
        sample: the photograph.
        zoom: factor of size.
        turn: radians, positive turns x towards y (clockwise as seen).
        shift: (2,) px, right and down.
    """
    if zoom == 1.0 and turn == 0.0 and not shift.any():
        return sample
    size = sample.image.shape[0]
    forward = zoom * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    centre = np.full(2, (size - 1) / 2.0)
    landmarks = (sample.landmarks - centre) @ forward.T + centre + shift
    inverse = _coefficients(np.linalg.inv(forward), centre, shift)
    image = _warp(sample.image, inverse, Image.Resampling.BILINEAR)
    mask = _warp(sample.mask, inverse, Image.Resampling.NEAREST)
    return Sample(image, landmarks.astype(np.float32), mask)


def recoloured(sample: Sample, gain: NDArray[np.floating], contrast: float) -> Sample:
    """Colours times a gain (3,) per channel, spread about their mean by the contrast."""
    if contrast == 1.0 and (gain == 1.0).all():
        return sample
    offset = sample.image.mean() * (1.0 - contrast)
    table = np.arange(256)[:, None] * (gain * contrast) + offset
    table8 = (table + 0.5).clip(0, 255).astype(np.uint8)
    image = np.stack([table8[sample.image[..., c], c] for c in range(3)], axis=2)
    return Sample(image, sample.landmarks, sample.mask)


def _coefficients(
    inverse: NDArray[np.floating], centre: NDArray[np.floating], shift: NDArray[np.floating]
) -> tuple[float, ...]:
    # The library counts from pixel corners: a pixel's centre is at +0.5.
    corner = centre + 0.5
    offset = corner - inverse @ (corner + shift)
    rows = np.column_stack([inverse, offset])
    return tuple(float(value) for value in rows.ravel())


def _warp(
    picture: NDArray[np.uint8], inverse: tuple[float, ...], resample: Image.Resampling
) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    return np.asarray(image.transform(image.size, Image.Transform.AFFINE, inverse, resample))
