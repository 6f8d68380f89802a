"""Texture from the photograph against texture from the model, where something hides the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...recon.morphable.model import MorphableModel
from ...recon.render.pose_and_light import Likeness, in_picture, look_up, shading
from ...recon.synthetic.cover import CoveredFace, hidden_vertices, seen_vertices, true_coefficients
from ...recon.texture.view import LEAST_SHADING
from ..scoring.statistics import Interval, PairedDifference, bootstrap_interval, paired_difference
from .embedded import CoveredPhotograph, face_classes
from .masks import Mask
from .photographs import Photograph

Floats = NDArray[np.float64]


def mapped_albedo(likeness: Likeness, crop: NDArray[np.uint8]) -> Floats:
    """Texture mapping: at every vertex (V, 3) the photograph's colour, its light divided out.

    Whatever the photograph shows there is taken: what hides the face, and for skin that looks away
    from the camera the skin, hair or wall in front of it.
    """
    assert likeness.light is not None
    places, normals = in_picture(likeness)
    light = shading(normals, likeness.light)
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
        likeness: the method's face; its colours are the texture reconstruction.
        mapped: (V, 3) albedo by texture mapping.
        errors: where the truth is known.
    """

    photograph: Photograph
    mask: Mask
    likeness: Likeness
    mapped: Floats
    errors: AlbedoErrors | None = None


def textured(photograph: Photograph, mask: Mask, likeness: Likeness) -> TexturedFace:
    """A photograph with both textures."""
    mapped = mapped_albedo(likeness, photograph.portrait)
    return TexturedFace(photograph, mask, likeness, mapped)


def measured(model: MorphableModel, one: CoveredPhotograph, likeness: Likeness) -> TexturedFace:
    """A covered photograph with both textures and how wrong they are.

    Args:
        model: of the photograph's face and of the method's.
        one: the photograph and its truth.
        likeness: the method's face.
    """
    face = textured(one.photograph, one.truth.mask, likeness)
    assert likeness.mesh.colours is not None
    reconstructed = np.asarray(likeness.mesh.colours, np.float64)
    return replace(face, errors=albedo_errors(model, one.truth, face.mapped, reconstructed))


def furthest_turned(faces: Sequence[TexturedFace], limit: int) -> list[TexturedFace]:
    """Those whose heads are turned furthest to a side, the furthest first."""
    return sorted(faces, key=lambda face: -abs(_yaw(face)))[:limit]


def _yaw(face: TexturedFace) -> float:
    assert face.likeness.pose is not None
    return float(face.likeness.pose[1])


@dataclass(frozen=True)
class AlbedoSummary:
    """Both textures over several people.

    Attributes:
        mapping, reconstruction: mean errors on the hidden skin.
        mapping_ci95, reconstruction_ci95: intervals over people.
        difference: reconstruction − mapping, in units of colour.
        mean_albedo, mapping_seen, reconstruction_seen: means, see `AlbedoErrors`.
    """

    mapping: float
    reconstruction: float
    mapping_ci95: Interval
    reconstruction_ci95: Interval
    difference: PairedDifference
    mean_albedo: float
    mapping_seen: float
    reconstruction_seen: float


def summarise_albedo(errors: Sequence[AlbedoErrors], seed: int = 0) -> AlbedoSummary:
    """Means over people; those without any hidden skin do not count."""
    rows = {name: np.array([getattr(one, name) for one in errors]) for name in vars(errors[0])}
    kept = np.isfinite(rows["mapping"])
    rows = {name: values[kept] for name, values in rows.items()}
    return AlbedoSummary(
        mapping=float(rows["mapping"].mean()),
        reconstruction=float(rows["reconstruction"].mean()),
        mapping_ci95=bootstrap_interval(rows["mapping"], seed),
        reconstruction_ci95=bootstrap_interval(rows["reconstruction"], seed),
        difference=paired_difference(rows["reconstruction"], rows["mapping"], seed),
        mean_albedo=float(rows["mean_albedo"].mean()),
        mapping_seen=float(np.nanmean(rows["mapping_seen"])),
        reconstruction_seen=float(np.nanmean(rows["reconstruction_seen"])),
    )


def _true_albedo(model: MorphableModel, truth: CoveredFace) -> Floats:
    coefficients = true_coefficients(model, truth.face).albedo[0].numpy()
    colours = model.mesh(albedo=coefficients).colours
    assert colours is not None
    return np.asarray(colours)


def _distance(found: Floats, true: Floats, where: NDArray[np.bool_]) -> float:
    if not where.any():
        return float("nan")
    return float(np.linalg.norm(found[where].clip(0.0, 1.0) - true[where], axis=1).mean())
