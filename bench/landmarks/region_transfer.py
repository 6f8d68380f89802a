"""The parts of a face of any topology: those of the embedded model laid on it by landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...recon.mesh.record import Mesh
from ...recon.morphable.procedural import procedural_model
from ..surface.similarity import similarity_between
from .points import Landmarks, landmark_pairs
from .regions import face_parts

REACH_MM = 15.0
"""At the model's size: vertices further from the laid model belong to no part."""


def transferred_parts(mesh: Mesh, landmarks: Landmarks) -> dict[str, NDArray[np.bool_]]:
    """For each part of a face which vertices (V,) belong to it.

    The model's mean face is laid on the mesh by a similarity, and a vertex belongs where the
    nearest of the model's does: borders between parts are right to about as much as the two faces
    differ, some millimetres.

    Args:
        mesh: in any unit and pose.
        landmarks: in its space.
    """
    model = procedural_model()
    mean = model.mean_shape.astype(np.float64)
    laid = similarity_between(*landmark_pairs(landmarks, Landmarks(mean[model.landmarks])))
    tree = cKDTree(mean)
    distance, nearest = tree.query(laid.apply(np.asarray(mesh.vertices, np.float64)))
    parts = face_parts(model.region, model.region_names)
    return {name: inside[nearest] & (distance < REACH_MM) for name, inside in parts.items()}
