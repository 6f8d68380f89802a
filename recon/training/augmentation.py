"""Random changes of a training photograph, with landmarks, labels and mask following.

It is moved, recoloured, mirrored (which exchanges the sides of landmarks and labels), covered by
something with straight edges, or given another style: surroundings, light, tones and texture.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import correlate, gaussian_filter

from ..morphable.landmarks import MIRRORED
from ..recipes.files import AnyRecipe
from ..recipes.regressor import AugmentationRecipe
from ..synthetic.appearance import CLASS
from ..synthetic.photograph import (
    FloatImage,
    degrade,
    fractal_noise,
    random_background,
    random_colour,
    smooth_noise,
)
from ..vision.parsing import swap_sides
from .batches import Transform
from .shards import Sample

_FINEST = 96
"""Side in px at which a texture is drawn at most: a larger picture gets it enlarged."""

_AROUND = np.isin(np.arange(19), [CLASS[name] for name in ("background", "cloth", "hat", "hair")])
"""Mask classes (19,) that may look like anything: drawn hair is the least like photographed."""


def augmentation(recipe: AugmentationRecipe) -> Transform:
    """The random change that a recipe asks for."""

    def change(sample: Sample, random: np.random.Generator) -> Sample:
        # In logarithms, so that larger is as likely as smaller.
        zoom = math.exp(random.uniform(-recipe.zoom, recipe.zoom))
        turn = math.radians(random.uniform(-recipe.turn, recipe.turn))
        shift = random.uniform(-recipe.shift, recipe.shift, 2) * sample.image.shape[0]
        moved = move(sample, zoom, turn, shift)
        gain = 1.0 + random.uniform(-recipe.gain, recipe.gain, 3)
        contrast = 1.0 + random.uniform(-recipe.contrast, recipe.contrast)
        return styled(hidden(recolour(moved, gain, contrast), random), random)

    def hidden(sample: Sample, random: np.random.Generator) -> Sample:
        # Drawn last, and nothing where none is asked for: what a seed gives elsewhere stays.
        asked = recipe.cover > 0 and random.random() < recipe.cover
        return cover(sample, random) if asked else sample

    def styled(sample: Sample, random: np.random.Generator) -> Sample:
        asked = recipe.style > 0 and random.random() < recipe.style
        return restyle(sample, random) if asked else sample

    return change


def move(sample: Sample, zoom: float, turn: float, shift: NDArray[np.floating]) -> Sample:
    """Zoom and turn about the centre of the image, then shift; what comes in from outside is black.

    Args:
        sample: the photograph.
        zoom: factor of size.
        turn: radians, positive turns x towards y (clockwise as seen).
        shift: (2,) px, right and down.
    """
    # Unmoved pictures are not resampled, not even by a pixel's rounding.
    if zoom == 1.0 and turn == 0.0 and not shift.any():
        return sample
    size = sample.image.shape[0]
    forward = zoom * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    centre = np.full(2, (size - 1) / 2.0)
    landmarks = (sample.landmarks - centre) @ forward.T + centre + shift
    # Pictures ask where each new pixel came from; points move forwards.
    inverse = _coefficients(np.linalg.inv(forward), centre, shift)
    image = _warp(sample.image, inverse, Image.Resampling.BILINEAR)
    # Classes have no mean: between skin (1) and nose (10) there is no eye.
    mask = _warp(sample.mask, inverse, Image.Resampling.NEAREST)
    return Sample(image, landmarks.astype(np.float32), mask)


def recolour(sample: Sample, gain: NDArray[np.floating], contrast: float) -> Sample:
    """Colours times a gain (3,) per channel, spread about their mean by the contrast."""
    if contrast == 1.0 and (gain == 1.0).all():
        return sample
    # The mean stays where it is: brightness is the gain's to change.
    offset = sample.image.mean() * (1.0 - contrast)
    table = np.arange(256)[:, None] * (gain * contrast) + offset
    # By table: 256 values instead of every pixel in floats.
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


def cover(sample: Sample, random: np.random.Generator) -> Sample:
    """The photograph with a thing before everything beyond a line, in a band or in a rectangle.

    The mask says background where the thing hides more than half of a pixel. Landmarks stay where
    the face has them, hidden or not.
    """
    # Drawn before the surface, always: a seed then gives the same edge over any photograph.
    coverage = straight_edged(random, sample.mask.shape)
    thing = Image.fromarray(surface(random, sample.image))
    share = Image.fromarray((coverage * 255 + 0.5).astype(np.uint8))
    image = np.asarray(Image.composite(thing, Image.fromarray(sample.image), share))
    # The class of what most of the pixel shows.
    mask = np.where(coverage > 0.5, np.uint8(CLASS["background"]), sample.mask)
    return Sample(image, sample.landmarks, mask)


def straight_edged(random: np.random.Generator, shape: tuple[int, ...]) -> FloatImage:
    """How much of each pixel (H, W) a thing covers, in [0, 1]; its edges are sharp or softer."""
    side = max(shape)
    across, along = _rotate(random.uniform(0, 2 * math.pi), shape)
    kind = random.choice(["line", "line", "band", "rectangle"])
    start = random.uniform(-0.1, 0.4) if kind == "line" else random.uniform(-0.4, 0.3)
    inside = across - start * side
    if kind != "line":
        inside = np.minimum(inside, random.uniform(0.15, 0.5) * side - inside)
    if kind == "rectangle":
        middle, half = random.uniform(-0.25, 0.25) * side, random.uniform(0.1, 0.35) * side
        inside = np.minimum(inside, half - np.abs(along - middle))
    softness = random.uniform(0.5, 0.5 + 0.015 * side)
    return np.asarray((inside / softness + 0.5).clip(0, 1), np.float32)


def surface(random: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a thing before a photograph (H, W, 3) looks like: a background, or a plain surface.

    Half of the plain ones have a colour of the photograph itself, so that skin and hair are among
    them: neither colour nor texture alone shall tell what is a face.
    """
    height, width = image.shape[:2]
    scale = min(1.0, _FINEST / max(height, width))
    small = (max(1, round(height * scale)), max(1, round(width * scale)))
    if random.random() < 0.5:
        drawn = random_background(random, small)
    else:
        own = image[random.integers(height), random.integers(width)] / np.float32(255)
        colour = own if random.random() < 0.5 else random_colour(random, 0.7)
        drawn = colour * _relief(random, small)
    picture = Image.fromarray((drawn * 255).clip(0, 255).astype(np.uint8))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))


def _relief(random: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    noise = fractal_noise(random, shape, random.uniform(2, 24), 3)[..., None]
    return np.asarray(1 + random.uniform(0, 0.2) * noise, np.float32)


def _rotate(angle: float, shape: tuple[int, ...]) -> tuple[FloatImage, FloatImage]:
    """Coordinates (H, W) in px from the middle of a picture, along two turned axes."""
    rows, columns = (np.arange(side, dtype=np.float32) - (side - 1) / 2 for side in shape)
    row, column = rows[:, None], columns[None, :]
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return cosine * column + sine * row, cosine * row - sine * column


def restyle(sample: Sample, random: np.random.Generator) -> Sample:
    """The face in other surroundings, light, tones and texture; landmarks and mask stay.

    What tells a drawn face from a photographed one is mostly of these, so that a network which
    may not rely on them knows more photographs (as by random convolutions, Xu et al. 2021).
    """
    picture: FloatImage = np.asarray(sample.image, np.float32) / np.float32(255)
    if random.random() < 0.5:
        picture = _elsewhere(random, picture, sample.mask)
    if random.random() < 0.5:
        # In logarithms: as deep shadows as highlights, with edges from soft to hard.
        field = smooth_noise(random, picture.shape[:2], random.uniform(1.5, 5))
        field = np.tanh(field * random.uniform(0.5, 5)) * random.uniform(0.1, 0.6)
        picture = picture * np.exp(field)[..., None]
    if random.random() < 0.4:
        picture = _convolved(random, picture)
    # Colours mixed about grey: tints, hues and little saturation.
    mixing = np.eye(3) * random.uniform(0.2, 1.2) + random.normal(0, 0.06, (3, 3))
    mixing += (1 - mixing.sum(1, keepdims=True)) / 3
    picture = picture @ mixing.astype(np.float32) * random.uniform(0.6, 1.3)
    picture = picture.clip(0, 1) ** np.exp(random.normal(0, 0.3, 3)).astype(np.float32)
    if random.random() < 0.3:
        noise = random.standard_normal(picture.shape, dtype=np.float32)
        picture = picture + noise * np.float32(random.uniform(0, 0.06))
    image = (picture.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return Sample(degrade(random, image), sample.landmarks, sample.mask)


def _elsewhere(
    random: np.random.Generator, picture: FloatImage, mask: NDArray[np.uint8]
) -> FloatImage:
    """Something else behind the face, where hair and clothes are too in half of the cases."""
    around = _AROUND[mask] if random.random() < 0.5 else mask == CLASS["background"]
    share = gaussian_filter(around.astype(np.float32), random.uniform(0.4, 1.5))[..., None]
    other = random_background(random, mask.shape)
    if random.random() < 0.5:
        # As rough as leaves and shelves; a drawn background is mostly out of focus.
        relief = fractal_noise(random, mask.shape, random.uniform(4, 30), 3)[..., None]
        other = other * np.exp(np.float32(random.uniform(0, 0.5)) * relief)
    return np.asarray(picture + share * (other - picture), np.float32)


def _convolved(random: np.random.Generator, picture: FloatImage) -> FloatImage:
    """Mixed with its random convolution, of the same mean and spread: other texture and edges."""
    kernel = random.standard_normal((3, 3)).astype(np.float32)
    found = np.stack([correlate(channel, kernel) for channel in np.moveaxis(picture, 2, 0)], 2)
    found = (found - found.mean()) * (picture.std() / max(float(found.std()), 1e-6))
    share = np.float32(random.uniform(0, 0.5))
    return np.asarray(picture + share * (found + picture.mean() - picture), np.float32)


def mirror(sample: Sample) -> Sample:
    """The mirror image: landmarks renumbered, left and right labels exchanged."""
    # A mirrored left eye is a right one: points and labels change names with their places.
    landmarks = sample.landmarks[list(MIRRORED)].copy()
    # Pixel centres at integers: the last column is at width - 1.
    landmarks[:, 0] = sample.image.shape[1] - 1 - landmarks[:, 0]
    image = np.ascontiguousarray(sample.image[:, ::-1])
    mask = np.ascontiguousarray(swap_sides(sample.mask)[:, ::-1])
    return Sample(image, landmarks, mask)


def random_change(recipe: AnyRecipe) -> Transform:
    """The random change of a training photograph that a recipe asks for."""
    change = augmentation(recipe.augmentation)
    # Nothing is drawn where none is asked for: what a seed gives elsewhere stays.
    if not recipe.flip:
        return change

    def changed(sample: Sample, random: np.random.Generator) -> Sample:
        turned = mirror(sample) if random.random() < recipe.flip else sample
        return change(turned, random)

    return changed
