"""Things between the camera and the face that no model draws: hands, and objects out of focus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .appearance import CLASS
from .photograph import FloatImage, fractal_noise, random_colour

_FINE = 2
"""Shapes are drawn at this many samples per pixel in each direction."""

Occluder = tuple[FloatImage, FloatImage]
"""Colour (H, W, 3) and coverage (H, W) in [0, 1] of something in front of the picture."""


def occlude(
    picture: FloatImage, classes: NDArray[np.uint8], occluder: Occluder
) -> tuple[FloatImage, NDArray[np.uint8]]:
    """The picture (H, W, 3) and its classes (H, W) behind an occluder."""
    colour, coverage = occluder
    # Classes have no halves: a pixel belongs to what covers most of it.
    hidden = np.where(coverage > 0.5, CLASS["background"], classes)
    return picture + coverage[..., None] * (colour - picture), hidden.astype(np.uint8)


def random_occluders(
    generator: np.random.Generator,
    landmarks: NDArray[np.floating],
    skin: NDArray[np.floating],
    shape: tuple[int, int],
) -> list[Occluder]:
    """None in two of three pictures; else a hand of the given skin colour, or an object.

    Args:
        generator: the picture's stream.
        landmarks: (68, 2) pixels.
        skin: (3,) colour of the person's lit skin.
        shape: (height, width) of the picture.
    """
    chance = generator.random()
    if chance < 0.13:
        return [hand(generator, landmarks, skin, shape)]
    if chance < 0.33:
        return [foreground_object(generator, landmarks, shape)]
    return []


def hand(
    generator: np.random.Generator,
    landmarks: NDArray[np.floating],
    skin: NDArray[np.floating],
    shape: tuple[int, int],
) -> Occluder:
    """A palm with four fingers, its finger tips somewhere on the face."""
    size = float(np.ptp(landmarks, axis=0).max())
    # Everything is measured by the face, so that a hand is a hand at any distance.
    tip = landmarks[generator.integers(68)] + generator.normal(0, 0.1, 2) * size
    direction = _direction(generator.uniform(-0.9, 0.9) + np.pi / 2)
    side = direction[::-1] * (1, -1)
    canvas, draw = _canvas(shape)
    # A hand comes from below: upright arms in front of a face are rare.
    palm = tip + direction * 0.75 * size
    _capsule(draw, palm, palm + direction * size, 0.42 * size)
    spread = generator.uniform(0.06, 0.14)
    for k in range(4):
        base = palm + side * (k - 1.5) * 0.11 * size
        reach = tip + side * (k - 1.5) * spread * size + direction * abs(k - 1.3) * 0.06 * size
        _capsule(draw, base, reach, 0.1 * size)
    # A hand at the face is nearly as sharp as the face itself.
    coverage = _soften(canvas, shape, size * 0.006)
    relief = 1 + 0.05 * fractal_noise(generator, shape, 6, 3)
    # Blurred coverage is high in the middle and low at the rim: a cheap roundness.
    shade = _soften(canvas, shape, size * 0.04) ** 1.5
    light = (relief * (0.45 + 0.55 * shade))[..., None]
    return (light * skin * generator.uniform(0.85, 1.15)).astype(np.float32), coverage


def foreground_object(
    generator: np.random.Generator, landmarks: NDArray[np.floating], shape: tuple[int, int]
) -> Occluder:
    """A round or angular object at the face's side, more or less out of focus."""
    size = float(np.ptp(landmarks, axis=0).max())
    middle, angle = landmarks.mean(axis=0), generator.uniform(0, 2 * np.pi)
    centre = middle + _direction(angle) * size * generator.uniform(0.35, 0.75)
    corners = int(generator.integers(3, 9))
    # Sorted by angle the corners make a simple polygon around the centre.
    angles = np.sort(generator.uniform(0, 2 * np.pi, corners))
    reach = size * generator.uniform(0.12, 0.42, (corners, 1))
    canvas, draw = _canvas(shape)
    outline = centre + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    draw.polygon([(float(x) * _FINE, float(y) * _FINE) for x, y in outline], fill=255)
    coverage = _soften(canvas, shape, size * generator.uniform(0.004, 0.05))
    pattern = 1 + generator.uniform(0, 0.35) * fractal_noise(generator, shape, 12, 3)
    colour = random_colour(generator, 0.7) * pattern[..., None]
    return np.clip(colour, 0, 1).astype(np.float32), coverage


def _direction(angle: float) -> NDArray[np.float64]:
    return np.array([np.cos(angle), np.sin(angle)])


def _canvas(shape: tuple[int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("L", (shape[1] * _FINE, shape[0] * _FINE))
    return canvas, ImageDraw.Draw(canvas)


def _capsule(
    draw: ImageDraw.ImageDraw,
    start: NDArray[np.floating],
    end: NDArray[np.floating],
    width: float,
) -> None:
    ends = [(float(x) * _FINE, float(y) * _FINE) for x, y in (start, end)]
    half = width * _FINE / 2
    draw.line(ends, fill=255, width=max(1, round(2 * half)))
    for x, y in ends:
        draw.ellipse([x - half, y - half, x + half, y + half], fill=255)


def _soften(canvas: Image.Image, shape: tuple[int, int], radius: float) -> FloatImage:
    # Averaging the finer canvas gives soft edges; drawing has no partial coverage.
    small = canvas.resize(shape[::-1], Image.Resampling.BOX)
    blurred = small.filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(blurred, np.float32) / np.float32(255)
