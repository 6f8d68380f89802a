"""Random people, poses and lights: the distribution that synthetic faces are drawn from."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face.camera import rotate, rotation_matrix
from ..face.lighting import harmonics
from ..morphable.model import MorphableModel
from ..vision.framing import Framing

_LAMBERT = torch.tensor([math.pi] + [2 * math.pi / 3] * 3 + [math.pi / 4] * 5)
"""What a matte surface keeps of each band of the light around it."""

SCALE_JITTER = 0.18
SHIFT_JITTER = 0.1
"""Slop of a face detector: share of the scale, and share of the crop's side."""

_FURTHEST = 22.0
"""Millimetres that a vertex moves at most by an expression: the chin of an open mouth."""


def standard_normal(generator: np.random.Generator, size: int) -> NDArray[np.float32]:
    """N(0, 1) coefficients (size,) within three standard deviations."""
    return generator.standard_normal(size).clip(-3, 3).astype(np.float32)


def random_expression(generator: np.random.Generator, model: MorphableModel) -> NDArray[np.float32]:
    """Expression coefficients (K,): near neutral, a few modes strong, or all of them at once."""
    size = model.expression_basis.shape[2]
    kind = generator.random()
    spread = standard_normal(generator, size)
    if kind < 0.4:
        return bounded_expression(model, 0.25 * spread)
    if kind < 0.85:
        chosen = generator.random(size) < 4 / max(size, 1)
        return bounded_expression(model, spread * np.where(chosen, 1.2, 0.15))
    return bounded_expression(model, 0.8 * spread)


def bounded_expression(
    model: MorphableModel, coefficients: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The expression (K,), weakened where it moves a vertex further than a face can.

    Blendshapes, known by their names, are weights from 0 to 1 and have no opposite.
    """
    if model.has_blend_shapes:
        coefficients = np.float32(0.8) * np.abs(coefficients).clip(0, 1)
    moved = np.linalg.norm(model.expression_basis[::7] @ coefficients, axis=1).max(initial=0)
    return (coefficients * min(1.0, _FURTHEST / max(float(moved), 1e-6))).astype(np.float32)


def random_angles(generator: np.random.Generator) -> Tensor:
    """Pitch, yaw, roll (3,) in radians: yaw mostly within ±40°, at most ±60°."""
    deviation, limit = np.array([9.0, 22.0, 6.0]), np.array([20.0, 60.0, 15.0])
    degrees = (generator.standard_normal(3) * deviation).clip(-limit, limit)
    return torch.from_numpy(np.radians(degrees)).float()


def random_framing(
    generator: np.random.Generator, mean_landmarks: Tensor, angles: Tensor, framing: Framing
) -> Tensor:
    """Pose (7,): the turned mean face in the middle of the crop, but for a detector's slop.

    Args:
        generator: where the slop comes from.
        mean_landmarks: (68, 3) of the mean face in mm.
        angles: (3,) pitch, yaw, roll.
        framing: of the frontal mean face.
    """
    scale = framing.scale * (1 + generator.uniform(-SCALE_JITTER, SCALE_JITTER))
    turned = rotate(mean_landmarks[..., None], rotation_matrix(angles[None]))[:, :2, 0]
    middle = (turned.amin(0) + turned.amax(0)) / 2
    shift = torch.from_numpy(generator.uniform(-2 * SHIFT_JITTER, 2 * SHIFT_JITTER, 2)).float()
    offset = shift - scale * middle
    return torch.cat([angles, offset, torch.tensor([0.0, scale])])


def directional_light(direction: Tensor, colour: Tensor) -> Tensor:
    """Coefficients (9, 3) of a distant light on matte skin.

    Args:
        direction: (3,) unit vector towards the light.
        colour: (3,) what it adds to a surface that faces it.
    """
    bands = harmonics(direction.view(1, 3, 1)).view(9) * _LAMBERT
    return bands[:, None] * colour


def ambient(colour: Tensor) -> Tensor:
    """Coefficients (9, 3) of a light of one colour (3,) from everywhere."""
    light = torch.zeros(9, 3)
    light[0] = colour / harmonics(torch.zeros(1, 3, 1))[0, 0, 0]
    return light


def random_light(generator: np.random.Generator) -> Tensor:
    """Ambient and one or two directional lights with colour casts (9, 3), as one exposure."""
    light = ambient(_tint(generator, 0.06) * generator.uniform(0.35, 0.8))
    for _ in range(int(generator.integers(1, 3))):
        x, y, z = generator.normal([0, 0.35, 0.7], 1)
        direction = torch.tensor([x, y, abs(z)]).float()
        strength = generator.gamma(2, 0.2)
        light = light + directional_light(
            direction / direction.norm(), _tint(generator, 0.12) * strength
        )
    forward = (harmonics(torch.tensor([[[0.0], [0.0], [1.0]]]))[0, :, 0] @ light).mean()
    return light * (generator.uniform(0.6, 1.1) / forward)


def _tint(generator: np.random.Generator, spread: float) -> Tensor:
    return torch.from_numpy(np.exp(generator.normal(0, spread, 3))).float()
