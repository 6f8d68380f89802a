"""Photographs made from a face model, whose truth is known: what figures show without a folder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...recon.fitting.crops import box_of_crop
from ...recon.losses.pixel import class_weights
from ...recon.morphable.model import MorphableModel
from ...recon.recipes.files import load_recipe
from ...recon.synthetic.cover import CoveredFace, cover
from ...recon.synthetic.faces import FaceSampler, LabelledFace
from ...recon.synthetic.sittings import VARIATIONS, Sittings
from .photographs import Photograph

SIZE = 320
"""Side of the photographs in px."""

SEED = 20
"""Another seed than the embedded weights were trained with."""


@dataclass(frozen=True, eq=False)
class CoveredPhotograph:
    """A photograph of a face that something hides a part of.

    Attributes:
        photograph: as it is shown.
        truth: what is true of it.
    """

    photograph: Photograph
    truth: CoveredFace


def face_classes() -> NDArray[np.bool_]:
    """Which of the mask's 19 classes (19,) the recipe `ours` counts as the face."""
    weights: NDArray[np.bool_] = class_weights(load_recipe("ours").loss.mask).numpy() > 0
    return weights


def labelled_faces(model: MorphableModel, count: int, seed: int = SEED) -> list[LabelledFace]:
    """One photograph of each of some people, with mask and landmarks."""
    sampler = FaceSampler(model, seed, SIZE)
    return [sampler.face(person, 0) for person in range(count)]


def embedded_photographs(
    model: MorphableModel, count: int, seed: int = SEED
) -> tuple[Photograph, ...]:
    """One photograph of each of some people."""
    return tuple(photograph_of(face) for face in labelled_faces(model, count, seed))


def photograph_of(face: LabelledFace, group: str = "") -> Photograph:
    """A labelled face as a photograph: its picture is framed as crops are."""
    return Photograph(face.id, face.subject, face.image, box_of_crop(len(face.image)), group)


def covered_photographs(
    model: MorphableModel, count: int, seed: int = SEED
) -> list[CoveredPhotograph]:
    """One photograph of each of some people, a quarter of the seen face hidden."""
    faces = enumerate(labelled_faces(model, count, seed))
    truths = [cover(face, face_classes(), number) for number, face in faces]
    return [CoveredPhotograph(photograph_of(t.as_photographed()), t) for t in truths]


def varied_photographs(
    model: MorphableModel, people: int, each: int, seed: int = SEED
) -> tuple[Photograph, ...]:
    """People from the front, then under so many poses, expressions and lights, one at a time."""
    sittings = Sittings(model, seed, SIZE)
    found = []
    for number in range(people):
        person = sittings.person(number)
        plain = sittings.photograph(person, person.start, "plain")
        found.append(photograph_of(plain, "front"))
        for kind in VARIATIONS:
            for k in range(each):
                changed = sittings.varied(person, kind, k)
                face = sittings.photograph(person, changed, f"{kind}{k}")
                found.append(photograph_of(face, kind))
    return tuple(found)
