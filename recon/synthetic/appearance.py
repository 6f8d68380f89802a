"""The distribution that synthetic people are drawn from: appearance, expression, pose and light.

Also the frame of a head, on which hair, glasses and clothing are placed, and the 19 classes of a
face mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import FacebenchError
from ..face.imaging import harmonics, rotate, rotation_matrix
from ..morphable.human.skin import is_human_skin, random_skin
from ..morphable.human.source import are_face_units, random_units
from ..morphable.model import MorphableModel
from .photograph import random_colour

Colour = NDArray[np.float32]

_HAIR_COLOURS = (
    (0.05, 0.04, 0.035),
    (0.12, 0.08, 0.05),
    (0.24, 0.15, 0.08),
    (0.42, 0.28, 0.14),
    (0.62, 0.48, 0.28),
    (0.35, 0.13, 0.06),
    (0.50, 0.49, 0.47),
)
_FRAME_COLOURS = (
    (0.04, 0.04, 0.05),
    (0.20, 0.11, 0.06),
    (0.45, 0.40, 0.32),
    (0.25, 0.05, 0.06),
    (0.50, 0.50, 0.50),
)

_LAMBERT = torch.tensor([math.pi] + [2 * math.pi / 3] * 3 + [math.pi / 4] * 5)
"""What a matte surface keeps of each band of the light around it."""

SCALE_JITTER = 0.18
SHIFT_JITTER = 0.1
"""Error of a face detector: share of the scale, and share of the crop's side."""

_FURTHEST = 22.0
"""Millimetres that a vertex moves at most by an expression: the chin of an open mouth."""

Points = NDArray[np.float64]

_SEMI_AXES = np.array([0.52, 0.74, 0.64])
"""Half width, height above the eyes and half length of a skull over its width at the ears."""

MASK_ORDER = "bisenet"
"""Name of the class order below, kept beside every mask."""

CLASS_NAMES = (
    *("background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_glasses", "l_ear", "r_ear"),
    *("ear_ring", "nose", "mouth", "u_lip", "l_lip", "neck", "necklace", "cloth", "hair", "hat"),
)
"""Classes by number. `l_` and `r_` are the subject's left and right, except `l_lip`: lower lip."""

CLASS = {name: number for number, name in enumerate(CLASS_NAMES)}

REGION_CLASS = {
    "forehead": "skin",
    "left_brow": "l_brow",
    "right_brow": "r_brow",
    "left_eye_socket": "skin",
    "right_eye_socket": "skin",
    "left_eye": "l_eye",
    "right_eye": "r_eye",
    "nose": "nose",
    "left_cheek": "skin",
    "right_cheek": "skin",
    "upper_lip": "u_lip",
    "lower_lip": "l_lip",
    "mouth": "mouth",
    "jaw": "skin",
    "left_ear": "l_ear",
    "right_ear": "r_ear",
    "neck": "neck",
    "head": "skin",
}
"""Mask class of each region name; a name not listed counts as skin."""


@dataclass(frozen=True)
class Hair:
    """A head of hair, or none.

    Attributes:
        thickness: share of the skull's radius that it adds; 0 shows the scalp.
        hairline: elevation in radians above the eyes where the forehead ends.
        length: how far it falls below the eyes in mm; 0 ends above the neck.
        wave: (8,) phases and strengths of its lumps.
        hat: elevation in radians above which a hat covers it, or None.
    """

    thickness: float
    hairline: float
    length: float
    wave: NDArray[np.float64]
    colour: Colour
    hat: float | None
    hat_colour: Colour


@dataclass(frozen=True)
class Glasses:
    """Spectacles.

    Attributes:
        half_size: (2,) half width and height of a rim over the distance of the eyes.
        squareness: exponent of the rim's superellipse; 2 is an ellipse.
        tube: radius of the rim in mm.
        dark: whether the lenses hide the eyes; clear lenses are not drawn.
    """

    half_size: tuple[float, float]
    squareness: float
    tube: float
    colour: Colour
    dark: bool
    lens_colour: Colour


@dataclass(frozen=True)
class Appearance:
    """Everything on a person that is not the face model.

    Attributes:
        hair: always there; its thickness may be 0.
        glasses: or None.
        cloth: colour of the clothes.
        collar: height of the collar below the chin in mm.
        grain: (3, 2) offsets into the skin, hair and cloth textures.
        freckles: strength of the skin's texture.
    """

    hair: Hair
    glasses: Glasses | None
    cloth: Colour
    collar: float
    grain: NDArray[np.float64]
    freckles: float


def random_appearance(generator: np.random.Generator) -> Appearance:
    """Hair for nine people of ten, glasses for one of five, a hat for one of twelve."""
    return Appearance(
        hair=_random_hair(generator),
        glasses=_random_glasses(generator) if generator.random() < 0.2 else None,
        cloth=random_colour(generator, 0.6),
        collar=float(generator.uniform(35, 65)),
        grain=generator.random((3, 2)),
        freckles=float(generator.uniform(0.01, 0.05)),
    )


def without_headwear(appearance: Appearance) -> Appearance:
    """The same person without glasses and hat, as people sit for a scan."""
    return replace(appearance, hair=replace(appearance.hair, hat=None), glasses=None)


def _random_hair(generator: np.random.Generator) -> Hair:
    bald = generator.random() < 0.1
    long = generator.random() < 0.4
    hat = float(generator.uniform(0.36, 0.5)) if generator.random() < 0.08 else None
    palette = np.array(_HAIR_COLOURS[generator.integers(len(_HAIR_COLOURS))])
    return Hair(
        # Draws happen in the order of the fields: reordering them makes other people.
        thickness=0.01 if bald else float(generator.uniform(0.04, 0.2)),
        # A hat covers the hairline, which must then end just below its brim.
        hairline=float(generator.uniform(0.42, 0.75)) if hat is None else hat + 0.02,
        length=float(generator.uniform(90, 210)) if long and not bald else 0.0,
        wave=generator.uniform(0, 2 * np.pi, 8),
        colour=np.clip(palette * generator.uniform(0.7, 1.4), 0, 1).astype(np.float32),
        hat=hat,
        hat_colour=random_colour(generator, 0.7),
    )


def _random_glasses(generator: np.random.Generator) -> Glasses:
    height = float(generator.uniform(0.22, 0.36))
    return Glasses(
        half_size=(float(generator.uniform(0.36, 0.43)), height),
        squareness=float(generator.uniform(2, 5)),
        tube=float(generator.uniform(0.8, 2.6)),
        colour=np.array(_FRAME_COLOURS[generator.integers(len(_FRAME_COLOURS))], np.float32),
        dark=bool(generator.random() < 0.3),
        lens_colour=generator.uniform(0.02, 0.15, 3).astype(np.float32),
    )


def random_beard(generator: np.random.Generator, model: MorphableModel) -> NDArray[np.float32]:
    """How much of the skin (V,) a beard hides: none for most, a full one, or one around the mouth.

    It grows where the human skin has stubble; models of another skin have no beards.
    """
    cover = np.zeros(model.n_vertices, np.float32)
    if not is_human_skin(model.albedo_names) or generator.random() > 0.15:
        return cover
    cover = np.abs(model.albedo_basis[:, :, model.albedo_names.index("stubble")]).max(axis=1)
    cover *= generator.uniform(0.5, 0.95) / max(float(cover.max()), 1e-6)
    if generator.random() < 0.35:
        middle = required_landmarks(model, model.mean_shape)[57]
        aside = np.abs(model.mean_shape - middle) / (generator.uniform(18, 30), 40, 60)
        cover = np.where((aside < 1).all(axis=1), cover, 0)
    # Tufts: a beard is not a coat of paint.
    tufts = generator.normal(1, 0.25, len(cover))
    return np.asarray((cover * tufts).clip(0, 1), np.float32)


def standard_normal(generator: np.random.Generator, size: int) -> NDArray[np.float32]:
    """N(0, 1) coefficients (size,) within three standard deviations."""
    return generator.standard_normal(size).clip(-3, 3).astype(np.float32)


def random_albedo(generator: np.random.Generator, model: MorphableModel) -> NDArray[np.float32]:
    """Albedo coefficients (K,): standard normal, or as they go together in the human skin."""
    if is_human_skin(model.albedo_names):
        return random_skin(generator, model.albedo_names)
    return standard_normal(generator, model.albedo_basis.shape[2])


def random_expression(generator: np.random.Generator, model: MorphableModel) -> NDArray[np.float32]:
    """Expression coefficients (K,): near neutral, a few modes strong, or all of them at once.

    ARKit's face units are mixed as faces mix them (`human/source.py`).
    """
    if are_face_units(model.expression_names):
        return random_units(generator, model.expression_names)
    size = model.expression_basis.shape[2]
    # Real photographs mix near-neutral, one strong motion and everything at once.
    kind = generator.random()
    # Drawn before the kinds part: which kind it is changes no coefficient's draw.
    spread = standard_normal(generator, size)
    if kind < 0.4:
        return bounded_expression(model, 0.25 * spread)
    if kind < 0.85:
        chosen = generator.random(size) < 4 / max(size, 1)
        return bounded_expression(model, spread * np.where(chosen, 1.2, 0.15))
    return bounded_expression(model, 0.8 * spread)


def strong_expression(generator: np.random.Generator, model: MorphableModel) -> NDArray[np.float32]:
    """Expression coefficients (K,) of a face that is seldom near neutral."""
    if are_face_units(model.expression_names):
        return random_units(generator, model.expression_names, neutral=False)
    return bounded_expression(model, standard_normal(generator, model.expression_basis.shape[2]))


def bounded_expression(
    model: MorphableModel, coefficients: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The expression (K,), weakened where it moves a vertex further than a face can.

    Blendshapes, known by their names, are weights from 0 to 1 and have no opposite.
    """
    if are_face_units(model.expression_names):
        # Mixtures of them are what faces do as they are; their jaw opens further than that.
        return coefficients.clip(0, 1).astype(np.float32)
    if model.has_blend_shapes:
        # Blend shapes have no opposite: a negative jawOpen would push the chin through the face.
        coefficients = np.float32(0.8) * np.abs(coefficients).clip(0, 1)
    # Every seventh vertex is enough to find the largest motion of a smooth field.
    moved = np.linalg.norm(model.expression_basis[::7] @ coefficients, axis=1).max(initial=0)
    return (coefficients * min(1.0, _FURTHEST / max(float(moved), 1e-6))).astype(np.float32)


def random_angles(generator: np.random.Generator) -> Tensor:
    """Pitch, yaw, roll (3,) in radians: yaw mostly within ±40°, at most ±60°."""
    deviation, limit = np.array([9.0, 22.0, 6.0]), np.array([20.0, 60.0, 15.0])
    degrees = (generator.standard_normal(3) * deviation).clip(-limit, limit)
    return torch.from_numpy(np.radians(degrees)).float()


def random_framing(
    generator: np.random.Generator, mean_landmarks: Tensor, angles: Tensor, scale: float
) -> Tensor:
    """Pose (7,): the turned mean face in the middle of the crop, but for a detector's error.

    Args:
        generator: draws that error.
        mean_landmarks: (68, 3) of the mean face in mm.
        angles: (3,) pitch, yaw, roll.
        scale: of the mean face in its crop, normalised units per mm.
    """
    scale *= 1 + generator.uniform(-SCALE_JITTER, SCALE_JITTER)
    # The mean face and not the person's: a scale in the labels then means the same for all.
    turned = rotate(mean_landmarks[..., None], rotation_matrix(angles[None]))[:, :2, 0]
    middle = (turned.amin(0) + turned.amax(0)) / 2
    # Coordinates run from -1 to 1, so a share of the side is twice as much here.
    shift = torch.from_numpy(generator.uniform(-2 * SHIFT_JITTER, 2 * SHIFT_JITTER, 2)).float()
    offset = shift - scale * middle
    return torch.cat([angles, offset, torch.tensor([0.0, scale])])


def directional_light(direction: Tensor, colour: Tensor) -> Tensor:
    """Coefficients (9, 3) of a distant light on matte skin.

    Args:
        direction: (3,) unit vector towards the light.
        colour: (3,) what it adds to a surface that faces it.
    """
    # Ramamoorthi and Hanrahan 2001: matte skin low-passes light with these factors.
    bands = harmonics(direction.view(1, 3, 1)).view(9) * _LAMBERT
    return bands[:, None] * colour


def ambient(colour: Tensor) -> Tensor:
    """Coefficients (9, 3) of a light of one colour (3,) from everywhere."""
    light = torch.zeros(9, 3)
    light[0] = colour / harmonics(torch.zeros(1, 3, 1))[0, 0, 0]
    return light


def random_light(generator: np.random.Generator, hard: bool = False) -> Tensor:
    """Ambient and one or two directional lights with colour casts (9, 3), as one exposure.

    Args:
        generator: where chance comes from.
        hard: little light from all around, and coloured lamps.
    """
    tints, around = ((0.15, 0.3), (0.08, 0.3)) if hard else ((0.06, 0.12), (0.35, 0.8))
    light = ambient(_tint(generator, tints[0]) * generator.uniform(*around))
    for _ in range(int(generator.integers(1, 3))):
        x, y, z = generator.normal([0, 0.35, 0.7], 1)
        # From in front: light from behind the head leaves the face black.
        direction = torch.tensor([x, y, abs(z)]).float()
        strength = generator.gamma(2, 0.2)
        light = light + directional_light(
            direction / direction.norm(), _tint(generator, tints[1]) * strength
        )
    forward = (harmonics(torch.tensor([[[0.0], [0.0], [1.0]]]))[0, :, 0] @ light).mean()
    # Scaled to the exposure of a frontal patch, as a camera meters.
    return light * (generator.uniform(0.6, 1.1) / forward)


def _tint(generator: np.random.Generator, spread: float) -> Tensor:
    return torch.from_numpy(np.exp(generator.normal(0, spread, 3))).float()


class HeadFrame:
    """Sizes and places of one head in mm, in the model's coordinates.

    Args:
        landmarks: (68, 3) iBUG's, mm.

    Attributes:
        width: of the face at the ears.
        centre: (3,) middle of the skull at the height of the eyes.
        semi_axes: (3,) of the ellipsoid that stands for the skull.
        eyes: (2, 3) middles of the subject's right and left eye.
        chin: (3,) tip of the chin.
    """

    def __init__(self, landmarks: Points) -> None:
        self.eyes = np.stack([landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)])
        self.chin = landmarks[8]
        self.width = float(np.linalg.norm(landmarks[16] - landmarks[0]))
        self.semi_axes = _SEMI_AXES * self.width
        middle = (landmarks[0, 0] + landmarks[16, 0]) / 2
        # From the nasion back by half a skull: a crop has no vertices behind the ears.
        depth = landmarks[27, 2] - self.semi_axes[2]
        self.centre = np.array([middle, self.eyes[:, 1].mean(), depth])


def required_landmarks(model: MorphableModel, vertices: NDArray[np.floating]) -> Points:
    """The 68 landmarks (68, 3) on vertices (V, 3).

    Raises:
        FacebenchError: the model lacks landmarks, so that nothing can be placed on the head.
    """
    if (model.landmarks < 0).any():
        missing = int((model.landmarks < 0).sum())
        raise FacebenchError(
            f"model {model.name} lacks {missing} of the 68 landmarks",
            "synthetic people need all of them; import it with --landmarks or --transfer-landmarks",
        )
    return vertices[model.landmarks].astype(np.float64)


def vertex_classes(model: MorphableModel) -> NDArray[np.uint8]:
    """Mask class (V,) of each vertex of a model."""
    # A model may have regions of its own names.
    table = [CLASS[REGION_CLASS.get(name, "skin")] for name in model.region_names]
    return np.array(table, np.uint8)[model.region]
