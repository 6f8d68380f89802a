"""MICC's three scenes: how near, how lit, how sharp, and how people move in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...recon.synthetic.appearance import ambient, directional_light
from ...recon.synthetic.photograph import CameraEffects, FloatImage, outdoors, room
from .synthetic_motion import MotionRange


@dataclass(frozen=True)
class SceneStyle:
    """What distinguishes a scene.

    Attributes:
        scene: its name in tables.
        stem: its file name in MICC's layout.
        frame_size: (height, width) in px.
        face_px: least and greatest width of the face in px.
        motion: how people move.
        light: draws the light, (9, 3).
        background: draws what is behind, (H, W, 3).
        focus: standard deviation of the blur in px.
        motion_blur: longest smear in px.
        noise: standard deviation of the noise.
        gain: brightness.
    """

    scene: str
    stem: str
    frame_size: tuple[int, int]
    face_px: tuple[float, float]
    motion: MotionRange
    light: Callable[[np.random.Generator], Tensor]
    background: Callable[[np.random.Generator, tuple[int, int]], FloatImage]
    focus: float
    motion_blur: float
    noise: float
    gain: float

    def camera(self, generator: np.random.Generator) -> CameraEffects:
        """The camera of one frame; a smear comes and goes."""
        return CameraEffects(
            focus=self.focus * float(generator.uniform(0.85, 1.25)),
            motion=self.motion_blur * float(generator.random() ** 2),
            gain=np.full(3, self.gain, np.float32),
            contrast=1.0,
            gamma=1.0,
            noise=self.noise,
        )


def _even_light(generator: np.random.Generator) -> Tensor:
    side = torch.tensor([float(generator.uniform(-0.4, 0.4)), 0.4, 0.82])
    return ambient(torch.full((3,), 0.6)) + directional_light(side, torch.full((3,), 0.35))


def _lamp_light(generator: np.random.Generator) -> Tensor:
    above = torch.tensor([float(generator.uniform(-0.5, 0.5)), 0.75, 0.5])
    warm = torch.tensor([0.48, 0.43, 0.36])
    return ambient(torch.tensor([0.4, 0.38, 0.36])) + directional_light(above / above.norm(), warm)


def _sun_light(generator: np.random.Generator) -> Tensor:
    side = float(np.copysign(generator.uniform(0.3, 0.8), generator.normal()))
    sun = torch.tensor([side, 0.6, 0.55])
    sky = ambient(torch.tensor([0.36, 0.39, 0.45]))
    return sky + directional_light(sun / sun.norm(), torch.tensor([0.75, 0.71, 0.63]))


STYLES = {
    style.scene: style
    for style in (
        SceneStyle(
            "cooperative", "Indoor-Cooperative", (320, 416), (122, 142),
            MotionRange((12, 24, 7), (0.15, 0.08), 0.05, 0.8, 0.0),
            _even_light, room, 0.5, 0.0, 0.008, 1.0,
        ),
        SceneStyle(
            "indoor", "PTZ-Indoor", (288, 384), (84, 104),
            MotionRange((15, 38, 8), (0.45, 0.15), 0.08, 1.0, 0.0),
            _lamp_light, room, 0.75, 1.5, 0.03, 0.78,
        ),
        SceneStyle(
            "outdoor", "PTZ-Outdoor", (288, 384), (70, 92),
            MotionRange((15, 35, 9), (0.6, 0.2), 0.12, 1.0, 0.2),
            _sun_light, outdoors, 0.65, 5.0, 0.015, 1.0,
        ),
    )
}  # fmt: skip
"""Each scene by its name."""
