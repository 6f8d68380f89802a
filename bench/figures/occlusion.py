"""Texture from the photograph against texture from the model, where something hides the face.

Shown on photographs of a folder, or without one on photographs made from a face model, whose truth
is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ...recon.fitting.fitter import box_of_crop
from ...recon.losses.multilevel import class_weights
from ...recon.morphable.model import MorphableModel
from ...recon.recipes.files import load_recipe
from ...recon.render.face_in_photograph import FaceInPhotograph, look_up, project_face, shading
from ...recon.synthetic.faces import (
    VARIATIONS,
    CaptureSession,
    CoveredFace,
    FaceSampler,
    LabelledFace,
    cover,
    hidden_vertices,
    seen_vertices,
    true_coefficients,
)
from ...recon.texture.texture import LEAST_SHADING
from ...recon.vision.parsing import make_parser
from .photographs import Photograph

Floats = NDArray[np.float64]

Mask = NDArray[np.uint8]
"""(S, S) classes in BiSeNet order."""

SIZE = 320
"""Side of the photographs in px."""

SEED = 20
"""Another seed than the embedded weights were trained with."""


def mapped_albedo(reconstruction: FaceInPhotograph, crop: NDArray[np.uint8]) -> Floats:
    """Texture mapping: at every vertex (V, 3) the photograph's colour, its light divided out.

    Whatever the photograph shows there is taken: what hides the face, and for skin that looks away
    from the camera the skin, hair or wall in front of it.
    """
    assert reconstruction.light is not None
    places, normals = project_face(reconstruction)
    light = shading(normals, reconstruction.light)
    # Where the estimated light is nearly black, dividing by it would paint noise in full colour.
    least = LEAST_SHADING * np.median(light, axis=0)
    return np.asarray(look_up(crop, places) / np.maximum(light, np.maximum(least, 1e-3)))


@dataclass(frozen=True)
class AlbedoErrors:
    """Mean colour distance (RGB in [0, 1], Euclidean) from the true albedo of one face.

    Attributes:
        mapping, reconstruction: on skin that is turned to the camera and hidden.
        mapping_seen, reconstruction_seen: on skin that is in the picture.
        mean_albedo: of the model's mean, on the hidden skin.
    """

    mapping: float
    reconstruction: float
    mapping_seen: float
    reconstruction_seen: float
    mean_albedo: float


def albedo_errors(
    model: MorphableModel, truth: CoveredFace, mapped: Floats, reconstructed: Floats
) -> AlbedoErrors:
    """How wrong two albedos (V, 3) of one covered face are."""
    true = _true_albedo(model, truth)
    on = face_classes()
    # Hidden skin is where both textures have to guess; visible skin is where mapping should win.
    hidden, seen = hidden_vertices(model, truth, on), seen_vertices(model, truth, on)
    return AlbedoErrors(
        mapping=_distance(mapped, true, hidden),
        reconstruction=_distance(reconstructed, true, hidden),
        mapping_seen=_distance(mapped, true, seen),
        reconstruction_seen=_distance(reconstructed, true, seen),
        mean_albedo=_distance(model.mean_albedo.astype(np.float64), true, hidden),
    )


@dataclass(frozen=True, eq=False)
class TexturedFace:
    """One photograph with both textures.

    Attributes:
        photograph: as it is.
        mask: (S, S) classes in BiSeNet order, any S.
        reconstruction: the method's face; its colours are the texture reconstruction.
        mapped: (V, 3) albedo by texture mapping.
        errors: where the truth is known.
    """

    photograph: Photograph
    mask: Mask
    reconstruction: FaceInPhotograph
    mapped: Floats
    errors: AlbedoErrors | None = None


def add_textures(
    photograph: Photograph, mask: Mask, reconstruction: FaceInPhotograph
) -> TexturedFace:
    """A photograph with both textures."""
    mapped = mapped_albedo(reconstruction, photograph.portrait)
    return TexturedFace(photograph, mask, reconstruction, mapped)


def measure_textures(
    model: MorphableModel, truth: CoveredFace, reconstruction: FaceInPhotograph
) -> TexturedFace:
    """A covered photograph with both textures and how wrong they are.

    Args:
        model: of the photograph's face and of the method's.
        truth: the face, and what covers it.
        reconstruction: the method's face.
    """
    face = add_textures(photograph_of(truth.as_photographed()), truth.mask, reconstruction)
    assert reconstruction.mesh.colours is not None
    reconstructed = np.asarray(reconstruction.mesh.colours, np.float64)
    return replace(face, errors=albedo_errors(model, truth, face.mapped, reconstructed))


def most_turned(faces: Sequence[TexturedFace], limit: int) -> list[TexturedFace]:
    """The faces whose heads are turned furthest to a side, the furthest first."""
    return sorted(faces, key=lambda face: -abs(_yaw(face)))[:limit]


def _yaw(face: TexturedFace) -> float:
    assert face.reconstruction.pose is not None
    return float(face.reconstruction.pose[1])


def _true_albedo(model: MorphableModel, truth: CoveredFace) -> Floats:
    coefficients = true_coefficients(model, truth.face).albedo[0].numpy()
    colours = model.mesh(albedo=coefficients).colours
    assert colours is not None
    return np.asarray(colours)


def _distance(found: Floats, true: Floats, where: NDArray[np.bool_]) -> float:
    if not where.any():
        return float("nan")
    return float(np.linalg.norm(found[where].clip(0.0, 1.0) - true[where], axis=1).mean())


def parsed_masks(
    photographs: Sequence[Photograph], weights: str | Path, device: str = "cpu"
) -> list[Mask]:
    """What a parser sees in each photograph, in the size of its portrait.

    Raises:
        FacebenchError: there are no such weights.
    """
    parser, masks = make_parser(weights, device), []
    for photograph in photographs:
        image = torch.tensor(photograph.portrait, device=device).permute(2, 0, 1)[None].float()
        masks.append(np.asarray(parser(image / 255.0)[0].cpu().numpy(), np.uint8))
    return masks


def resize_mask(mask: Mask, size: int) -> Mask:
    """The mask with another side; every pixel keeps a class that was there."""
    # Classes are names: interpolating between hair (17) and skin (1) would invent a nose (10).
    return np.asarray(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST))


def intersection_over_union(
    found: Sequence[Mask], true: Sequence[Mask], classes: int
) -> NDArray[np.float64]:
    """Intersection over union (classes,) over all pictures; NaN where neither has a class."""
    # One number per (true, found) pair turns the confusion matrix into a single bincount.
    pairs = [classes * t.astype(np.int64) + f for t, f in zip(true, found, strict=True)]
    counts = np.bincount(np.concatenate([p.ravel() for p in pairs]), minlength=classes**2)
    table = counts.reshape(classes, classes).astype(np.float64)
    union = table.sum(0) + table.sum(1) - np.diag(table)
    return np.asarray(np.diag(table) / np.where(union > 0, union, np.nan))


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
    # Without this box the crop would be cut out of the crop once more, and magnify the face.
    return Photograph(face.id, face.subject, face.image, box_of_crop(len(face.image)), group)


def covered_faces(model: MorphableModel, count: int, seed: int = SEED) -> list[CoveredFace]:
    """One photograph of each of some people, a quarter of the visible face hidden."""
    faces = enumerate(labelled_faces(model, count, seed))
    return [cover(face, face_classes(), number) for number, face in faces]


def varied_photographs(
    model: MorphableModel, people: int, each: int, seed: int = SEED
) -> tuple[Photograph, ...]:
    """People from the front, then under so many poses, expressions and lights, one at a time."""
    session = CaptureSession(model, seed, SIZE)
    found = []
    for number in range(people):
        person = session.person(number)
        plain = session.photograph(person, person.start, "plain")
        # The front comes first: all variations are compared with it.
        found.append(photograph_of(plain, "front"))
        for kind in VARIATIONS:
            for k in range(each):
                changed = session.vary(person, kind, k)
                face = session.photograph(person, changed, f"{kind}{k}")
                found.append(photograph_of(face, kind))
    return tuple(found)
