"""Something in front of a large part of a face, whose skin is known behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..face.camera import project, rotate, rotation_matrix, to_pixels
from ..face.coefficients import Coefficients, CoefficientSizes
from ..morphable.decoder import FaceDecoder
from ..morphable.model import MorphableModel
from ..render.shade import VertexNormals
from .backgrounds import random_background
from .faces import LabelledFace
from .masks import CLASS
from .streams import random_stream

HIDDEN = 0.25
"""Share of the seen face that is covered."""

_FACING = 0.2
"""Cosine to the viewer above which a vertex counts as turned to the camera."""


@dataclass(frozen=True, eq=False)
class CoveredFace:
    """A face and what hides a part of it.

    Attributes:
        face: as it would be without.
        image: (S, S, 3) uint8 RGB with the thing in front.
        mask: (S, S) uint8 true classes, background where covered.
        covered: (S, S) bool.
    """

    face: LabelledFace
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    covered: NDArray[np.bool_]

    def as_photographed(self) -> LabelledFace:
        """The face with the picture and the mask that it has behind the thing."""
        return replace(self.face, image=self.image, mask=self.mask)


def cover(face: LabelledFace, on: NDArray[np.bool_], number: int) -> CoveredFace:
    """Something coloured before everything beyond a random line that leaves three quarters free.

    Args:
        face: a synthetic photograph.
        on: (19,) which mask classes are the face.
        number: tells the line and the colours.
    """
    generator = random_stream(77, "cover", number)
    turn = generator.uniform(0, 2 * np.pi)
    row, column = np.mgrid[: len(face.mask), : len(face.mask)]
    along = np.cos(turn) * column + np.sin(turn) * row
    behind = along > np.quantile(along[on[face.mask]], 1 - HIDDEN)
    thing = random_background(generator, face.mask.shape).clip(0, 1) * 255
    image = np.where(behind[..., None], thing, face.image).astype(np.uint8)
    mask = np.where(behind, CLASS["background"], face.mask).astype(np.uint8)
    return CoveredFace(face, image, mask, behind)


def hidden_vertices(
    model: MorphableModel, one: CoveredFace, on: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Vertices (V,) of the face that look at the camera and are behind the thing."""
    return _looking_through(model, one, one.covered & on[one.face.mask])


def seen_vertices(
    model: MorphableModel, one: CoveredFace, on: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Vertices (V,) of the face that look at the camera and are in the picture."""
    return _looking_through(model, one, on[one.mask])


def true_coefficients(model: MorphableModel, face: LabelledFace) -> Coefficients:
    """What a face was drawn from, as a batch of one."""
    vector = torch.from_numpy(face.coefficients)[None]
    return Coefficients.from_vector(vector, CoefficientSizes.of(model))


def _looking_through(
    model: MorphableModel, one: CoveredFace, pixels: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    true = true_coefficients(model, one.face)
    decoder = FaceDecoder(model)
    shape = rotate(decoder.shape(true.identity, true.expression), rotation_matrix(true.pose[:, :3]))
    facing = VertexNormals(decoder.triangles)(shape)[:, 2, 0].numpy() > _FACING
    places = to_pixels(project(shape, true.pose), pixels.shape)[..., 0].round().long().numpy()
    column, row = places.clip(0, np.array(pixels.shape[::-1]) - 1).T
    seen: NDArray[np.bool_] = facing & pixels[row, column]
    return seen
