"""What is refused, and what is set right, before a prediction meets a scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import FacebenchError
from ...recon.mesh.record import Mesh
from ..surface.triangles import triangle_areas
from .clean import check_unit, clean_mesh, faces_inwards, first_of_equals, turned_round
from .sizes import MAX_VERTICES

_RIGHT_EYE, _LEFT_EYE, _CHIN, _BRIDGE, _TIP = 36, 45, 8, 27, 30
"""Landmarks, counted from 0: outer eye corners, chin, nose bridge and nose tip."""


def check_prediction(prediction: Mesh) -> Mesh:
    """The clean prediction; refused when it is no surface with its outside outside.

    Raises:
        FacebenchError: for NaN, no triangles, a mirrored face, an inside-out surface or too many
            vertices.
    """
    if not np.isfinite(prediction.vertices).all():
        raise FacebenchError(
            "the prediction has NaN or infinite vertices", "its method failed; predict it again"
        )
    if not len(prediction.triangles):
        raise FacebenchError(
            "the prediction has no triangles, only points", "save it as a mesh with its triangles"
        )
    _check_size(prediction, "the prediction")
    cleaned = _with_sound_triangles(prediction)
    if not len(cleaned.triangles):
        raise FacebenchError("no triangle of the prediction has an area", "its method failed")
    if is_mirrored(cleaned):
        raise FacebenchError(
            "the prediction is mirrored: its landmarks' left and right are exchanged",
            "a reflection is never aligned; negate x and reverse the triangles",
        )
    if faces_inwards(cleaned):
        raise FacebenchError(
            "the prediction is inside out or mirrored: its triangles face inwards",
            "reverse the order of each triangle's corners, or undo the reflection",
        )
    return cleaned


def check_scan(scan: Mesh) -> Mesh:
    """The clean scan in mm with its outside outside.

    Raises:
        FacebenchError: when nothing is left of it, it is in another unit or has too many vertices.
    """
    _check_size(scan, "the scan")
    scan, _ = clean_mesh(scan)
    if not len(scan.triangles):
        raise FacebenchError("the scan has no triangles with finite corners", "is it a mesh?")
    check_unit(scan, "the scan")
    return turned_round(scan) if faces_inwards(scan) else scan


def _check_size(mesh: Mesh, name: str) -> None:
    """Refuse what would take tens of gigabytes, by the rule that also holds for files."""
    count = len(mesh.vertices)
    if count > MAX_VERTICES:
        raise FacebenchError(
            f"{name} has {count:,} vertices, more than {MAX_VERTICES:,}",
            "thin it to 0.5 mm between points first, for example by clustering vertices in MeshLab",
        )


def _with_sound_triangles(mesh: Mesh) -> Mesh:
    """The mesh without degenerate and duplicate triangles; vertices keep their numbers."""
    triangles = np.asarray(mesh.triangles, np.int64)
    solid = triangles[triangle_areas(np.asarray(mesh.vertices, np.float64), triangles) > 0]
    return replace(mesh, triangles=solid[first_of_equals(solid)])


def is_mirrored(face: Mesh) -> bool:
    """Whether left, up and forward, by the landmarks, form a left-handed frame."""
    if face.landmarks is None:
        return False
    point = np.asarray(face.vertices)[face.landmarks]
    left = point[_LEFT_EYE] - point[_RIGHT_EYE]
    up = point[_BRIDGE] - point[_CHIN]
    forward = point[_TIP] - (point[_LEFT_EYE] + point[_RIGHT_EYE]) / 2
    return bool(np.cross(left, up) @ forward < 0)
