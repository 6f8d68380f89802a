"""What surrounds a rendered face in a photograph: background, texture noise and the camera.

Every random draw comes from a stream with a name, so that no sample depends on another or on the
order of the work.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import correlate1d, gaussian_filter

FloatImage = NDArray[np.float32]

TILE = 256
"""Side in texels of a tileable texture."""


def random_stream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator of one named thing, independent of every other name under the same seed."""
    # A cryptographic hash of the name: neighbouring numbers give unrelated streams.
    text = "/".join(str(name) for name in (seed, *names))
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def random_colour(generator: np.random.Generator, saturation: float = 0.35) -> NDArray[np.float32]:
    """An RGB colour in [0, 1]: a grey level with a limited tint."""
    grey = generator.uniform(0.08, 0.92)
    # Greys near black and white leave less room for a tint.
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


def smooth_noise(
    generator: np.random.Generator, shape: tuple[int, int], cells: float
) -> FloatImage:
    """Standard-normal noise (H, W) with about `cells` independent values along the longer side."""
    step = max(shape) / cells
    grid = tuple(max(2, round(side / step) + 2) for side in shape)
    # Noise on a coarse grid, enlarged: as smooth as a blur of the full picture, and much faster.
    coarse = generator.standard_normal(grid).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC))


def fractal_noise(
    generator: np.random.Generator, shape: tuple[int, int], cells: float, octaves: int
) -> FloatImage:
    """Sum of noises (H, W), each octave twice as fine and 0.6 times as strong."""
    layers = [0.6**k * smooth_noise(generator, shape, cells * 2**k) for k in range(octaves)]
    return np.asarray(np.sum(layers, axis=0, dtype=np.float32))


def cast_shadow(generator: np.random.Generator, picture: FloatImage) -> FloatImage:
    """The picture (H, W, 3) with the shadow of something outside it on a part, hard or soft.

    Light by nine harmonics casts none.
    """
    field = smooth_noise(generator, picture.shape[:2], generator.uniform(1.5, 4))
    edge, dark = generator.uniform(0.05, 0.6), generator.uniform(0.3, 0.8)
    lit = 1 / (1 + np.exp((generator.normal(0, 0.7) - field) / edge))
    return np.asarray(picture * (dark + (1 - dark) * lit)[..., None], np.float32)


def degrade(generator: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) degraded as many are: some were small, compressed hard, or are grey."""
    picture = Image.fromarray(image)
    if generator.random() < 0.25:
        small = max(16, round(image.shape[0] * generator.uniform(0.25, 0.7)))
        picture = picture.resize((small, small), Image.Resampling.BOX)
    # Where it is small: a thumbnail is enlarged with its blocks.
    if generator.random() < 0.35:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(generator.integers(15, 75)))
        picture = Image.open(file)
    if generator.random() < 0.12:
        picture = picture.convert("L")
    shown = picture.convert("RGB").resize(image.shape[1::-1], Image.Resampling.BICUBIC)
    return np.asarray(shown)


@cache
def tile(kind: str) -> FloatImage:
    """A wrapping texture (TILE, TILE) of zero mean and unit deviation: `skin`, `hair`, `cloth`."""
    # Hair is smeared along its strands, skin and cloth have no direction.
    blur = {"skin": (1.2, 1.2), "hair": (20.0, 0.8), "cloth": (1.0, 1.0)}[kind]
    white = random_stream(0, "tile", kind).standard_normal((TILE, TILE))
    # Wrapped at the border, so that tiles show no seam.
    fine = gaussian_filter(white, blur, mode="wrap")
    coarse = gaussian_filter(white, np.multiply(blur, 2.5), mode="wrap")
    field = fine / fine.std() + 0.7 * coarse / coarse.std()
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def look_up(texture: FloatImage, u: NDArray[np.floating], v: NDArray[np.floating]) -> FloatImage:
    """Values (N,) of a tileable texture at coordinates (N,), one unit a tile."""
    # The side is a power of two: a mask wraps negative coordinates too.
    column, row = ((axis * TILE).astype(np.int64) & (TILE - 1) for axis in (u, v))
    return texture.ravel()[row * TILE + column]


@dataclass(frozen=True)
class CameraEffects:
    """Settings of one camera.

    Attributes:
        focus: standard deviation of the blur in px.
        motion: length in px of a horizontal smear; 0 is none.
        gain: (3,) factor on each colour.
        contrast: factor around mid-grey.
        gamma: exponent of the brightness.
        noise: standard deviation of the noise, of 1.
    """

    focus: float
    motion: float
    gain: NDArray[np.float32]
    contrast: float
    gamma: float
    noise: float

    def photograph(self, generator: np.random.Generator, picture: FloatImage) -> NDArray[np.uint8]:
        """The picture (H, W, 3) in [0, 1] as the camera stores it, uint8."""
        if self.focus > 0.2:
            picture = gaussian_filter(
                picture, (self.focus, self.focus, 0), mode="nearest", truncate=3
            )
        if self.motion >= 2:
            window = np.ones(round(self.motion)) / round(self.motion)
            picture = correlate1d(picture, window, axis=1, mode="nearest")
        # Clipped before the exponent: negative light has no power.
        picture = np.clip(picture * self.gain, 0, 1) ** self.gamma
        picture = 0.5 + (picture - 0.5) * self.contrast
        # After the tone curve, as quantised and denoised noise looks in stored pictures.
        noise = generator.standard_normal(picture.shape, dtype=np.float32)
        return (np.clip(picture + self.noise * noise, 0, 1) * 255 + 0.5).astype(np.uint8)


def random_effects(generator: np.random.Generator, image_size: int) -> CameraEffects:
    """Mostly a decent camera, sometimes out of focus or noisy."""
    return CameraEffects(
        focus=float(min(generator.gamma(1.2, 0.5), 2.5)) * image_size / 224,
        motion=0.0,
        gain=np.exp(generator.normal(0, 0.05, 3)).astype(np.float32),
        contrast=float(np.exp(generator.normal(0, 0.08))),
        gamma=float(np.exp(generator.normal(0, 0.1))),
        noise=float(min(generator.gamma(1.2, 0.008), 0.05)),
    )
