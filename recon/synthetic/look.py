"""What a synthetic person wears: hair, hat, glasses, clothes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .backgrounds import random_colour

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
class Look:
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


def random_look(generator: np.random.Generator) -> Look:
    """A person's look: hair in nine of ten, glasses in one of five, a hat in one of twelve."""
    return Look(
        hair=_random_hair(generator),
        glasses=_random_glasses(generator) if generator.random() < 0.2 else None,
        cloth=random_colour(generator, 0.6),
        collar=float(generator.uniform(35, 65)),
        grain=generator.random((3, 2)),
        freckles=float(generator.uniform(0.01, 0.05)),
    )


def bareheaded(look: Look) -> Look:
    """The same person without glasses and hat, as people sit for a scan."""
    return replace(look, hair=replace(look.hair, hat=None), glasses=None)


def _random_hair(generator: np.random.Generator) -> Hair:
    bald = generator.random() < 0.1
    long = generator.random() < 0.4
    hat = float(generator.uniform(0.36, 0.5)) if generator.random() < 0.08 else None
    palette = np.array(_HAIR_COLOURS[generator.integers(len(_HAIR_COLOURS))])
    return Hair(
        thickness=0.01 if bald else float(generator.uniform(0.04, 0.2)),
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
