"""Something with straight edges put in front of a training photograph."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...synthetic.appearance import CLASS
from ...synthetic.photograph import FloatImage, fractal_noise, random_background, random_colour
from .shards import Sample

_FINEST = 96
"""Side in px at which a texture is drawn at most: a larger picture gets it enlarged."""


def covered(sample: Sample, random: np.random.Generator) -> Sample:
    """The photograph with a thing before everything beyond a line, in a band or in a rectangle.

    The mask says background where the thing hides more than half of a pixel. Landmarks stay where
    the face has them, hidden or not.
    """
    coverage = straight_edged(random, sample.mask.shape)
    thing = Image.fromarray(surface(random, sample.image))
    share = Image.fromarray((coverage * 255 + 0.5).astype(np.uint8))
    image = np.asarray(Image.composite(thing, Image.fromarray(sample.image), share))
    mask = np.where(coverage > 0.5, np.uint8(CLASS["background"]), sample.mask)
    return Sample(image, sample.landmarks, mask)


def straight_edged(random: np.random.Generator, shape: tuple[int, ...]) -> FloatImage:
    """How much of each pixel (H, W) a thing covers, in [0, 1]; its edges are sharp or softer."""
    side = max(shape)
    across, along = _turned(random.uniform(0, 2 * math.pi), shape)
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


def _turned(angle: float, shape: tuple[int, ...]) -> tuple[FloatImage, FloatImage]:
    """Coordinates (H, W) in px from the middle of a picture, along two turned axes."""
    rows, columns = (np.arange(side, dtype=np.float32) - (side - 1) / 2 for side in shape)
    row, column = rows[:, None], columns[None, :]
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return cosine * column + sine * row, cosine * row - sine * column
