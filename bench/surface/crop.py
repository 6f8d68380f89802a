"""The measured part of a scan: what lies in a sphere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .surface import Surface
from .triangles import Float64Array, IndexArray


@dataclass(frozen=True)
class Sphere:
    """A crop of a surface that does not cut its triangles.

    A point of the surface is in or out by its own position, so that the crop, unlike one that
    drops whole triangles, has no ragged rim that depends on the triangulation.

    Attributes:
        centre: (3,) in the scan's space, mm.
        radius_mm: infinite for no crop.
    """

    centre: Float64Array
    radius_mm: float

    @classmethod
    def everywhere(cls) -> Sphere:
        """The crop that leaves nothing out."""
        return cls(np.zeros(3), np.inf)

    def holds(self, points: Float64Array) -> NDArray[np.bool_]:
        """Which of the points (N, 3) lie in the sphere."""
        return np.asarray(np.linalg.norm(points - self.centre, axis=1) <= self.radius_mm)

    def vertices_of(self, scan: Surface) -> IndexArray:
        """The scan's vertices in the sphere.

        Raises:
            FacebenchError: when there are none.
        """
        inside = np.flatnonzero(self.holds(scan.vertices))
        if not len(inside):
            raise FacebenchError(
                f"the scan has nothing within {self.radius_mm:g} mm of the nose tip",
                "check the nose tip's label and the scan's unit",
            )
        return inside
