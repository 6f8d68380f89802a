"""The six parts of a face that error tables show, on the embedded model and on any topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...recon.mesh import Mesh
from ...recon.morphable.procedural import embedded_model
from ..surface.similarity import similarity_between
from .points import Landmarks, landmark_pairs

FACE_PARTS: Mapping[str, tuple[str, ...]] = {
    "nose": ("nose",),
    "mouth": ("upper_lip", "lower_lip"),
    "eyes": ("left_eye_socket", "right_eye_socket", "left_eye", "right_eye"),
    "cheeks": ("left_cheek", "right_cheek"),
    "forehead": ("forehead", "left_brow", "right_brow"),
    "jaw": ("jaw",),
}
"""The model regions of each part. Ears, neck, scalp and the inside of the mouth are in none."""
REACH_MM = 15.0
"""At the model's size: vertices further from the registered model belong to no part."""


def face_parts(
    region: NDArray[np.integer], region_names: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    """For each part which vertices (V,) belong to it, from a model's region of each vertex."""
    names = np.asarray(region_names)
    return {
        part: np.isin(region, np.flatnonzero(np.isin(names, regions)))
        for part, regions in FACE_PARTS.items()
    }


def transfer_parts(mesh: Mesh, landmarks: Landmarks) -> dict[str, NDArray[np.bool_]]:
    """For each part of a face which vertices (V,) belong to it.

    The mesh is registered to the model's mean face by the landmarks, and a vertex belongs where the
    nearest of the model's does: borders between parts are right to about as much as the two faces
    differ, some millimetres.

    Args:
        mesh: in any unit and pose.
        landmarks: in its space.
    """
    model = embedded_model()
    mean = model.mean_shape.astype(np.float64)
    registration = similarity_between(*landmark_pairs(landmarks, Landmarks(mean[model.landmarks])))
    tree = cKDTree(mean)
    distance, nearest = tree.query(registration.apply(np.asarray(mesh.vertices, np.float64)))
    parts = face_parts(model.region, model.region_names)
    return {name: inside[nearest] & (distance < REACH_MM) for name, inside in parts.items()}
