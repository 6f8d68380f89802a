"""What is refused, and what is set right, before a prediction meets a scan."""

from __future__ import annotations

import numpy as np

from ..errors import FacebenchError
from ..recon.mesh import Mesh
from .meshes import check_unit, clean_mesh, faces_inwards, turned_round

_RIGHT_EYE, _LEFT_EYE, _CHIN, _BRIDGE, _TIP = 36, 45, 8, 27, 30
"""Landmarks, counted from 0: outer eye corners, chin, nose bridge and nose tip."""


def check_prediction(prediction: Mesh) -> None:
    """Refuse what is not a face in mm with its outside outside.

    Raises:
        FacebenchError: for NaN, another unit, a mirrored face or an inside-out surface.
    """
    if not len(prediction.triangles) or not np.isfinite(prediction.vertices).all():
        raise FacebenchError("the prediction has NaN or no triangles", "its method failed")
    check_unit(prediction, "the prediction")
    if is_mirrored(prediction):
        raise FacebenchError(
            "the prediction is mirrored: its landmarks' left and right are exchanged",
            "a reflection is never aligned; negate x and reverse the triangles",
        )
    if faces_inwards(prediction):
        raise FacebenchError(
            "the prediction is inside out or mirrored: its triangles face inwards",
            "reverse the order of each triangle's corners, or undo the reflection",
        )


def check_scan(scan: Mesh) -> Mesh:
    """The clean scan in mm with its outside outside.

    Raises:
        FacebenchError: when nothing is left of it or it is in another unit.
    """
    scan, _ = clean_mesh(scan)
    if not len(scan.triangles):
        raise FacebenchError("the scan has no triangles with finite corners")
    check_unit(scan, "the scan")
    return turned_round(scan) if faces_inwards(scan) else scan


def is_mirrored(face: Mesh) -> bool:
    """Whether left, up and forward, by the landmarks, form a left-handed frame."""
    if face.landmarks is None:
        return False
    point = np.asarray(face.vertices)[face.landmarks]
    left = point[_LEFT_EYE] - point[_RIGHT_EYE]
    up = point[_BRIDGE] - point[_CHIN]
    forward = point[_TIP] - (point[_LEFT_EYE] + point[_RIGHT_EYE]) / 2
    return bool(np.cross(left, up) @ forward < 0)
