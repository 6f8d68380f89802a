"""Cutting the measured part out of a scan."""

from __future__ import annotations

import numpy as np

from ..errors import FacebenchError
from ..recon.mesh import Mesh
from .meshes import keep_vertices
from .triangles import Float64Array


def crop_sphere(mesh: Mesh, centre: Float64Array, radius_mm: float) -> Mesh:
    """The triangles whose three corners lie in a sphere around a centre (3,), mm.

    Raises:
        FacebenchError: when nothing is left.
    """
    inside = np.linalg.norm(mesh.vertices - centre, axis=1) <= radius_mm
    cropped = keep_vertices(mesh, inside)
    if not len(cropped.triangles):
        raise FacebenchError(
            f"the scan has nothing within {radius_mm:g} mm of the nose tip",
            "check the nose tip's label and the scan's unit",
        )
    return cropped
