"""Which way a mesh looks: measured meshes lie in their scan's space, pictures want the front."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...recon.mesh.normals import vertex_normals
from ...recon.mesh.record import Mesh

Array = NDArray[np.float64]


def frontal(mesh: Mesh, reference: Array | None) -> Mesh:
    """The mesh turned to face +z, y up, at the origin.

    Args:
        mesh: in mm, anywhere.
        reference: (V, 3) a frontal face of the same topology; without one the front is where most
            of the surface looks and up is along its longer side.
    """
    centred = mesh.vertices - mesh.vertices.mean(axis=0)
    return replace(mesh, vertices=centred @ frontal_rotation(mesh, reference).T)


def frontal_rotation(mesh: Mesh, reference: Array | None) -> Array:
    """Rotation (3, 3) of a mesh to the frontal pose, see `frontal`."""
    centred = mesh.vertices - mesh.vertices.mean(axis=0)
    if reference is not None and reference.shape == centred.shape:
        return rotation_onto(centred, reference)
    return _by_shape(mesh, centred)


def rotation_onto(points: Array, reference: Array) -> Array:
    """Rotation (3, 3) that lays centred points (V, 3) best on others of the same order."""
    covariance = (reference - reference.mean(axis=0)).T @ points
    left, _, right = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(left @ right))
    return np.asarray(left @ np.diag([1.0, 1.0, sign]) @ right)


def _by_shape(mesh: Mesh, centred: Array) -> Array:
    front = vertex_normals(mesh).mean(axis=0)
    front /= np.linalg.norm(front) or 1.0
    flat = centred - np.outer(centred @ front, front)
    up = np.linalg.svd(flat, full_matrices=False)[2][0]
    # Scans are upright within a right angle: of the two ends of the longer side, up has +y.
    up = up if up[1] >= 0 else -up
    return np.stack([np.cross(up, front), up, front])
