"""Which way a face looks, wherever it lies: by its landmarks, or by laying a known face on it."""

from __future__ import annotations

import numpy as np

from ...recon.mesh.record import Mesh
from ...recon.morphable.load import EMBEDDED, load_model
from ..surface.surface import Surface
from ..surface.triangles import Float64Array
from .global_search import register
from .nose_tip import own_nose_tip


def rotation_of_landmarks(seven: Float64Array) -> Float64Array:
    """Rotation (3, 3) to the frontal pose, x to the subject's left, y up, z to the front.

    Args:
        seven: (7, 3) in NoW's order, in any pose and unit.
    """
    right, left, mouth = seven[:2].mean(0), seven[2:4].mean(0), seven[5:].mean(0)
    across = (left - right) / np.linalg.norm(left - right)
    upwards = (left + right) / 2 - mouth
    up = upwards - (upwards @ across) * across
    up /= np.linalg.norm(up)
    return np.stack([across, up, np.cross(across, up)])


def rotation_of_surface(mesh: Mesh) -> Float64Array:
    """The same for a face in mm without landmarks: the embedded model's mean is laid on it.

    Raises:
        FacebenchError: when the surface has too few points to tell a pose.
    """
    known = load_model(EMBEDDED).mesh()
    laid = register(Surface(known), Surface(mesh), own_nose_tip(known))
    return np.asarray(laid.rotation.T)
