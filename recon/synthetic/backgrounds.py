"""What stands behind a face: gradients, clouds and out-of-focus shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .textures import FloatImage, fractal_noise


def random_colour(generator: np.random.Generator, saturation: float = 0.35) -> NDArray[np.float32]:
    """An RGB colour in [0, 1]: a grey level with a limited tint."""
    grey = generator.uniform(0.08, 0.92)
    tint = generator.uniform(-saturation, saturation, 3)
    return np.asarray((grey + tint * min(grey, 1 - grey) * 2).clip(0, 1), np.float32)


def random_background(generator: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """A picture (H, W, 3) in [0, 1]: a gradient, out-of-focus shapes and clouds of two colours."""
    picture = _gradient(generator, shape)
    if generator.random() < 0.6:
        picture = _defocused_shapes(generator, picture)
    return np.asarray((picture + _clouds(generator, shape)).clip(0, 1), np.float32)


def room(generator: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """A plain wall (H, W, 3) with a soft gradient and a few out-of-focus pieces of furniture."""
    wall = _gradient(generator, shape) * 0.35 + generator.uniform(0.35, 0.6)
    return np.clip(_defocused_shapes(generator, wall), 0, 1).astype(np.float32)


def outdoors(generator: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Sky over foliage over ground (H, W, 3), out of focus."""
    height = shape[0]
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    rows = rows + 0.06 * fractal_noise(generator, shape, 5, 4)[..., None]
    sky = np.array([0.62, 0.75, 0.92], np.float32) + generator.uniform(-0.1, 0.08)
    leaves = np.array([0.28, 0.37, 0.18], np.float32) * generator.uniform(0.7, 1.3)
    ground = np.array([0.55, 0.51, 0.45], np.float32) * generator.uniform(0.7, 1.2)
    line, foot = generator.uniform(0.2, 0.4), generator.uniform(0.6, 0.85)
    picture = np.where(rows < line, sky, np.where(rows < foot, leaves, ground))
    dapple = 1 + 0.22 * fractal_noise(generator, shape, 24, 3)[..., None] * (rows > line)
    return np.clip(_blur(picture * dapple, height / 120), 0, 1).astype(np.float32)


def _gradient(generator: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    corners = np.stack([random_colour(generator) for _ in range(4)]).reshape(2, 2, 3)
    rows = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
    columns = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :, None]
    top, bottom = (row[0] * (1 - columns) + row[1] * columns for row in corners)
    mixed: FloatImage = top * (1 - rows) + bottom * rows
    return mixed


def _clouds(generator: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    noise = fractal_noise(generator, shape, generator.uniform(2, 8), 4)[..., None]
    direction = generator.normal(1, 0.3, 3)
    return np.asarray(noise * direction * generator.uniform(0, 0.12), np.float32)


def _defocused_shapes(generator: np.random.Generator, picture: FloatImage) -> FloatImage:
    height, width = picture.shape[:2]
    canvas = Image.fromarray((picture * 255).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(generator.integers(2, 9))):
        centre, half = generator.uniform(0, 1, 2), generator.uniform(0.03, 0.35, 2)
        low, high = (centre - half) * (width, height), (centre + half) * (width, height)
        shape = draw.rectangle if generator.random() < 0.6 else draw.ellipse
        fill = tuple(int(value * 255) for value in random_colour(generator))
        shape([*low.tolist(), *high.tolist()], fill=fill)
    return _blur(np.asarray(canvas, np.float32) / 255, height * generator.uniform(0.01, 0.05))


def _blur(picture: NDArray[np.floating], radius: float) -> FloatImage:
    image = Image.fromarray((picture * 255).clip(0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)
