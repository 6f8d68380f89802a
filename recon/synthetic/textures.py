"""Procedural noise: smooth fields and tileable textures."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from .streams import random_stream

FloatImage = NDArray[np.float32]

TILE = 256
"""Side in texels of a tileable texture."""


def smooth_noise(
    generator: np.random.Generator, shape: tuple[int, int], cells: float
) -> FloatImage:
    """Standard-normal noise (H, W) with about `cells` independent values along the longer side."""
    step = max(shape) / cells
    grid = tuple(max(2, round(side / step) + 2) for side in shape)
    coarse = generator.standard_normal(grid).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC))


def fractal_noise(
    generator: np.random.Generator, shape: tuple[int, int], cells: float, octaves: int
) -> FloatImage:
    """Sum of noises (H, W), each octave twice as fine and 0.6 times as strong."""
    layers = [0.6**k * smooth_noise(generator, shape, cells * 2**k) for k in range(octaves)]
    return np.asarray(np.sum(layers, axis=0, dtype=np.float32))


@cache
def tile(kind: str) -> FloatImage:
    """A wrapping texture (TILE, TILE) of zero mean and unit deviation: `skin`, `hair`, `cloth`."""
    blur = {"skin": (1.2, 1.2), "hair": (20.0, 0.8), "cloth": (1.0, 1.0)}[kind]
    white = random_stream(0, "tile", kind).standard_normal((TILE, TILE))
    fine = gaussian_filter(white, blur, mode="wrap")
    coarse = gaussian_filter(white, np.multiply(blur, 2.5), mode="wrap")
    field = fine / fine.std() + 0.7 * coarse / coarse.std()
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def look_up(texture: FloatImage, u: NDArray[np.floating], v: NDArray[np.floating]) -> FloatImage:
    """Values (N,) of a tileable texture at coordinates (N,), one unit a tile."""
    column, row = ((axis * TILE).astype(np.int64) & (TILE - 1) for axis in (u, v))
    return texture.ravel()[row * TILE + column]
