"""A face as a method sees it in one photograph: what is drawn of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face.camera import project, rotate, rotation_matrix, to_pixels
from ..face.face_coefficients import FaceCoefficients
from ..face.lighting import harmonics
from ..fitting.shading import solve_light
from ..fitting.turns import pose_of_camera
from ..losses.scaled_orthography import fit_pose
from ..mesh.record import Mesh
from ..morphable.model import MorphableModel
from ..texture.view import sample
from .shade import vertex_normals

Floats = NDArray[np.float64]

_GREY = 0.6
"""Albedo under which the light of a face without colours is found."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """A face and how it stands in its photograph.

    Attributes:
        mesh: mm, facing +z, with its expression where the method gives one; its colours are the
            method's albedo, None where it has none.
        neutral: (V, 3) mm, the same vertices without expression.
        pose: (7,) in the crop's normalised coordinates (`recon.camera`), or None where the method
            does not say.
        light: (9, 3) (`recon.lighting`), or None where the method does not say.
    """

    mesh: Mesh
    neutral: Floats
    pose: Floats | None = None
    light: Floats | None = None


def likeness_of(model: MorphableModel, face: FaceCoefficients) -> Likeness:
    """One face of a morphable model, every part of which was found."""
    mesh = model.mesh(face.identity, face.expression, face.albedo)
    neutral = model.mesh(face.identity).vertices
    return Likeness(mesh, np.asarray(neutral), face.pose, face.light)


def likenesses_of(model: MorphableModel, faces: FaceCoefficients) -> list[Likeness]:
    """N faces of a morphable model."""
    return [likeness_of(model, faces[number]) for number in range(len(faces))]


def placed(
    likeness: Likeness, crop: NDArray[np.uint8], landmarks: NDArray[np.floating]
) -> Likeness:
    """The likeness with the pose and the light that its method leaves open.

    The pose lays its 68 landmark vertices over those of the photograph, the light makes its albedo
    look most like it; both in closed form (`scaled_orthography.fit_pose`, `shading.solve_light`).

    Args:
        likeness: its mesh names its landmarks where its pose is None.
        crop: (S, S, 3) RGB.
        landmarks: (68, 2) px of the crop.
    """
    if likeness.pose is None:
        likeness = replace(likeness, pose=_laid(likeness.mesh, landmarks, len(crop)))
    if likeness.light is None:
        likeness = replace(likeness, light=_lit(likeness, crop))
    return likeness


def in_picture(likeness: Likeness) -> tuple[Floats, Floats]:
    """Vertices in normalised image coordinates and unit normals in the camera's frame, (V, 3) each.

    Args:
        likeness: with a pose.
    """
    turned, pose = _turned(likeness)
    normals = vertex_normals(turned, torch.tensor(likeness.mesh.triangles, dtype=torch.int64))
    return _one(project(turned, pose)), _one(normals)


def landmark_pixels(likeness: Likeness, size: int) -> Floats:
    """Landmarks (68, 2) in px of a square picture of `size` px, of a face with pose and them."""
    assert likeness.mesh.landmarks is not None
    turned, pose = _turned(likeness, np.asarray(likeness.mesh.landmarks))
    return _one(to_pixels(project(turned, pose), (size, size)))


def shading(normals: Floats, light: Floats) -> Floats:
    """Light (V, 3) that falls on surfaces with unit normals (V, 3), as a factor of their albedo."""
    bands = harmonics(torch.from_numpy(normals)[..., None])[..., 0]
    return np.asarray(bands.numpy() @ light)


def look_up(crop: NDArray[np.uint8], places: Floats) -> Floats:
    """Colours (N, 3) in [0, 1] of a square crop at normalised image coordinates (N, ≥2)."""
    size = len(crop)
    column = (places[:, 0] * size + size - 1) / 2
    row = (size - 1 - places[:, 1] * size) / 2
    picture = crop.astype(np.float32) / 255.0
    return np.asarray(
        sample(picture, column.astype(np.float32), row.astype(np.float32)), np.float64
    )


def _turned(
    likeness: Likeness, vertices: NDArray[np.integer] | None = None
) -> tuple[Tensor, Tensor]:
    assert likeness.pose is not None
    points = likeness.mesh.vertices if vertices is None else likeness.mesh.vertices[vertices]
    pose = torch.tensor(likeness.pose, dtype=torch.float64)[None]
    shape = torch.tensor(np.asarray(points, np.float64))[..., None]
    return rotate(shape, rotation_matrix(pose[:, :3])), pose


def _laid(mesh: Mesh, landmarks: NDArray[np.floating], size: int) -> Floats:
    assert mesh.landmarks is not None
    points = torch.tensor(np.asarray(mesh.vertices, np.float64)[mesh.landmarks])[..., None]
    across = (2.0 * landmarks + 1.0 - size) / size * np.array([1.0, -1.0])
    targets = torch.tensor(np.asarray(across, np.float64))[..., None]
    known = targets.isfinite().all(1).double()
    return _pose(fit_pose(points, targets, known))


def _pose(camera: Tensor) -> Floats:
    return np.asarray(pose_of_camera(camera)[0].numpy(), np.float64)


def _lit(likeness: Likeness, crop: NDArray[np.uint8]) -> Floats:
    places, normals = in_picture(likeness)
    inside = (np.abs(places[:, :2]) < 1.0).all(axis=1)
    weights = normals[:, 2].clip(0.0) * inside
    colours = likeness.mesh.colours
    albedo = np.full_like(places, _GREY) if colours is None else np.asarray(colours, np.float64)
    bands = harmonics(torch.from_numpy(normals)[..., None])[..., 0].numpy()
    rows = (bands.T, albedo.T, look_up(crop, places).T, weights)
    light = solve_light(*(torch.from_numpy(part)[..., None] for part in rows))
    return np.asarray(light[0].numpy(), np.float64)


def _one(values: Tensor) -> Floats:
    return np.asarray(values[..., 0].numpy(), np.float64)
