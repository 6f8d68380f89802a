"""A reconstructed face in its photograph: its pose, its light, and pictures of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..face.coefficients import FaceCoefficients
from ..face.crop import LANDMARK_SHARE
from ..face.imaging import (
    ambient_light,
    fit_pose,
    harmonics,
    pose_of_camera,
    project,
    rotate,
    rotation_matrix,
    solve_light,
    to_pixels,
)
from ..mesh import Mesh
from ..morphable.model import MorphableModel
from . import sharp_renderer
from .face import HEADLIGHT_BANDS, vertex_normals
from .visibility import sample

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]
"""(S, S, 3) RGB."""

# Albedo under which the light of a face without colours is found.
_GREY_ALBEDO = 0.6

PAPER = 255
_GREY = 0.85
HEADLIGHT = np.zeros((9, 3))
HEADLIGHT[:3] = np.array(HEADLIGHT_BANDS)[:, None]
"""The constant, upward and forward harmonics under which shapes are shown, (9, 3)."""

EVEN = np.asarray(ambient_light(1)[0].numpy(), np.float64) * 1.25
"""White light from everywhere, (9, 3)."""

# Of the frame of crops (`recon.face.crop`): whole heads are larger than their landmarks.
_ZOOM = 0.8


@dataclass(frozen=True, eq=False)
class FaceInPhotograph:
    """A face and how it stands in its photograph.

    Attributes:
        mesh: mm, facing +z, with its expression where the method gives one; its colours are the
            method's albedo, None where it has none.
        neutral: (V, 3) mm, the same vertices without expression.
        pose: (7,) in the crop's normalised coordinates (`face.imaging`), or None where the method
            does not say.
        light: (9, 3) (`face.imaging`), or None where the method does not say.
    """

    mesh: Mesh
    neutral: Floats
    pose: Floats | None = None
    light: Floats | None = None


def decode_face(model: MorphableModel, face: FaceCoefficients) -> FaceInPhotograph:
    """One face of a morphable model, every part of which was found."""
    mesh = model.mesh(face.identity, face.expression, face.albedo)
    # Errors against a neutral scan and shapes over photographs need it without expression.
    neutral = model.mesh(face.identity).vertices
    return FaceInPhotograph(mesh, np.asarray(neutral), face.pose, face.light)


def decode_faces(model: MorphableModel, faces: FaceCoefficients) -> list[FaceInPhotograph]:
    """N faces of a morphable model."""
    return [decode_face(model, faces[number]) for number in range(len(faces))]


def complete_pose_and_light(
    face: FaceInPhotograph, crop: NDArray[np.uint8], landmarks: NDArray[np.floating]
) -> FaceInPhotograph:
    """The face with the pose and the light that its method leaves open.

    The pose aligns its 68 landmark vertices with the photograph's, the light makes its albedo
    look most like it; both in closed form (`camera.fit_pose`, `lighting.solve_light`).

    Args:
        face: its mesh names its landmarks where its pose is None.
        crop: (S, S, 3) RGB.
        landmarks: (68, 2) px of the crop.
    """
    if face.pose is None:
        face = replace(face, pose=_estimate_pose(face.mesh, landmarks, len(crop)))
    if face.light is None:
        face = replace(face, light=_estimate_light(face, crop))
    return face


def project_face(face: FaceInPhotograph) -> tuple[Floats, Floats]:
    """Vertices in normalised image coordinates and unit normals in the camera's frame, (V, 3) each.

    Args:
        face: with a pose.
    """
    turned, pose = _rotate(face)
    normals = vertex_normals(turned, torch.tensor(face.mesh.triangles, dtype=torch.int64))
    return _first(project(turned, pose)), _first(normals)


def landmark_pixels(face: FaceInPhotograph, size: int) -> Floats:
    """Landmarks (68, 2) in px of a square picture of `size` px, of a face with pose and them."""
    assert face.mesh.landmarks is not None
    turned, pose = _rotate(face, np.asarray(face.mesh.landmarks))
    return _first(to_pixels(project(turned, pose), (size, size)))


def shading(normals: Floats, light: Floats) -> Floats:
    """Light (V, 3) that falls on surfaces with unit normals (V, 3), as a factor of their albedo."""
    bands = harmonics(torch.from_numpy(normals)[..., None])[..., 0]
    return np.asarray(bands.numpy() @ light)


def look_up(crop: NDArray[np.uint8], places: Floats) -> Floats:
    """Colours (N, 3) in [0, 1] of a square crop at normalised image coordinates (N, ≥2)."""
    size = len(crop)
    # As `camera.to_pixels` of a square.
    column = (places[:, 0] * size + size - 1) / 2
    row = (size - 1 - places[:, 1] * size) / 2
    picture = crop.astype(np.float32) / 255.0
    return np.asarray(
        sample(picture, column.astype(np.float32), row.astype(np.float32)), np.float64
    )


def _rotate(
    face: FaceInPhotograph, vertices: NDArray[np.integer] | None = None
) -> tuple[Tensor, Tensor]:
    assert face.pose is not None
    points = face.mesh.vertices if vertices is None else face.mesh.vertices[vertices]
    pose = torch.tensor(face.pose, dtype=torch.float64)[None]
    shape = torch.tensor(np.asarray(points, np.float64))[..., None]
    return rotate(shape, rotation_matrix(pose[:, :3])), pose


def _estimate_pose(mesh: Mesh, landmarks: NDArray[np.floating], size: int) -> Floats:
    assert mesh.landmarks is not None
    points = torch.tensor(np.asarray(mesh.vertices, np.float64)[mesh.landmarks])[..., None]
    # Pixels to normalised coordinates; y turns upwards.
    across = (2.0 * landmarks + 1.0 - size) / size * np.array([1.0, -1.0])
    targets = torch.tensor(np.asarray(across, np.float64))[..., None]
    # A landmark without a place has no weight, and nothing else is lost.
    known = targets.isfinite().all(1).double()
    pose = pose_of_camera(fit_pose(points, targets, known))
    return np.asarray(pose[0].numpy(), np.float64)


def _estimate_light(face: FaceInPhotograph, crop: NDArray[np.uint8]) -> Floats:
    places, normals = project_face(face)
    inside = (np.abs(places[:, :2]) < 1.0).all(axis=1)
    # A vertex counts as its triangles do on the picture: by the cosine to the viewer.
    weights = normals[:, 2].clip(0.0) * inside
    colours = face.mesh.colours
    albedo = (
        np.full_like(places, _GREY_ALBEDO) if colours is None else np.asarray(colours, np.float64)
    )
    bands = harmonics(torch.from_numpy(normals)[..., None])[..., 0].numpy()
    rows = (bands.T, albedo.T, look_up(crop, places).T, weights)
    light = solve_light(*(torch.from_numpy(part)[..., None] for part in rows))
    return np.asarray(light[0].numpy(), np.float64)


def _first(values: Tensor) -> Floats:
    return np.asarray(values[..., 0].numpy(), np.float64)


class FaceArtist:
    """Draws faces as square pictures.

    Args:
        size: side of the pictures in px.
        supersampling: samples of a pixel in each direction.
        paper: grey level behind faces that stand in no photograph, 0 to 255.
    """

    def __init__(self, size: int = 320, supersampling: int = 2, paper: int = PAPER) -> None:
        self.size = size
        self._fine = size * supersampling
        self._paper = np.full((self._fine, self._fine, 3), paper, np.uint8)
        self._render = sharp_renderer()

    def photograph(self, crop: Picture) -> Picture:
        """The crop in the size of the other pictures."""
        return _resize(crop, self.size)

    def overlay(self, face: FaceInPhotograph, crop: Picture) -> Picture:
        """The lit face over its photograph (S, S, 3), any S."""
        assert face.light is not None
        behind = _resize(crop, self._fine)
        return self._draw(face, _colours(face.mesh), face.light, behind)

    def shape(self, face: FaceInPhotograph) -> Picture:
        """The surface in grey under a light at the viewer, in its pose."""
        grey = np.full((len(face.mesh.vertices), 3), _GREY)
        return self._draw(face, grey, HEADLIGHT, self._paper)

    def texture(self, face: FaceInPhotograph, colours: Floats | None = None) -> Picture:
        """The face in its own colours, or in those given (V, 3), unlit, in its pose."""
        shown = _colours(face.mesh) if colours is None else colours
        return self._draw(face, shown, None, self._paper)

    def turn(
        self,
        face: FaceInPhotograph,
        yaw: float,
        colours: Floats | None = None,
        light: Floats = EVEN,
    ) -> Picture:
        """The face in its own colours, or in those given (V, 3), seen from a side.

        Args:
            face: a face; its pose is not looked at.
            yaw: radians; positive turns its nose to the viewer's left.
            colours: (V, 3) in [0, 1].
            light: (9, 3).
        """
        view = replace(face, pose=framing_pose(face.mesh, yaw))
        shown = _colours(face.mesh) if colours is None else colours
        return self._draw(view, shown, light, self._paper)

    def _draw(
        self, face: FaceInPhotograph, albedo: Floats, light: Floats | None, behind: Picture
    ) -> Picture:
        places, normals = project_face(face)
        lit = albedo if light is None else albedo * shading(normals, light)
        drawn = self._render(
            torch.from_numpy(places.astype(np.float32))[..., None],
            torch.from_numpy(lit.astype(np.float32))[..., None],
            torch.tensor(face.mesh.triangles, dtype=torch.int64),
            (self._fine, self._fine),
        )
        colours = drawn.image[0].permute(1, 2, 0).numpy()
        share = drawn.background_weight[0, ..., None].numpy()
        # The renderer drew over black: the photograph comes in by the background's share.
        picture = (colours * 255.0 + share * behind).clip(0.0, 255.0)
        # Rounded, not cut: half a level darker would show in a difference of pictures.
        return _resize((picture + 0.5).astype(np.uint8), self.size)


def framing_pose(mesh: Mesh, yaw: float) -> Floats:
    """The pose (7,) under which a face turned by `yaw` radians stands in the middle of a picture.

    Its size is that of the landmarks' box from the front, so that all turns show one size.

    Args:
        mesh: mm, facing +z.
        yaw: radians.
    """
    points = np.asarray(mesh.vertices, np.float64)
    # By landmarks where there are any: ears and neck differ between models.
    box = points if mesh.landmarks is None else points[mesh.landmarks]
    scale = _ZOOM * 2.0 * LANDMARK_SHARE / float(np.ptp(box[:, :2], axis=0).max())
    unit = FaceInPhotograph(mesh, points, np.array([0.0, yaw, 0.0, 0.0, 0.0, 0.0, scale]))
    shown = project_face(unit)[0]
    low, high = shown[:, :2].min(axis=0), shown[:, :2].max(axis=0)
    assert unit.pose is not None
    pose = unit.pose.copy()
    pose[3:5] = -(low + high) / 2
    # Shrunk where a turned head would leave the picture; 2 is its whole side.
    pose[6] *= min(1.0, 1.94 / float((high - low).max()))
    # The shift was found at the first scale.
    pose[3:5] *= pose[6] / scale
    return pose


def _colours(mesh: Mesh) -> Floats:
    if mesh.colours is None:
        return np.full((len(mesh.vertices), 3), _GREY)
    return np.asarray(mesh.colours, np.float64)


def _resize(picture: Picture, size: int) -> Picture:
    if len(picture) == size:
        return picture
    # A whole factor averages its samples exactly, as supersampling wants; BICUBIC would ring at the
    # outline.
    kind = Image.Resampling.BOX if len(picture) % size == 0 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize((size, size), kind))
