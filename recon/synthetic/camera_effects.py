"""What a camera does to a picture: focus, exposure, colour, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, gaussian_filter

from .textures import FloatImage


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
        picture = np.clip(picture * self.gain, 0, 1) ** self.gamma
        picture = 0.5 + (picture - 0.5) * self.contrast
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
