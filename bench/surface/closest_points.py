"""The points of a surface that are closest to others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .similarity import Similarity
from .triangles import Float64Array, IndexArray


@dataclass(frozen=True)
class ClosestPoints:
    """For each of N query points, the closest point of a surface.

    Attributes:
        position: (N, 3), mm.
        triangle: (N,) index into the surface's triangles.
        normal: (N, 3) unit normal of the surface there: the triangle's inside a triangle, the mean
            of two at an edge, the angle-weighted one at a vertex, so that it does not depend on
            how a flat part is cut into triangles.
        distance: (N,) mm.
        on_boundary: (N,) bool, whether the point lies on the rim of the surface or of a hole.
        to_rim: (N,) mm from the closest point to the nearest rim, infinite beyond what was asked
            for; None where it was not.
    """

    position: Float64Array
    triangle: IndexArray
    normal: Float64Array
    distance: Float64Array
    on_boundary: NDArray[np.bool_]
    to_rim: Float64Array | None = None

    def moved(self, transform: Similarity) -> ClosestPoints:
        """The same points after a similarity transform of surface and queries."""
        return replace(
            self,
            position=transform.apply(self.position),
            normal=transform.turn(self.normal),
            distance=self.distance * transform.scale,
            to_rim=None if self.to_rim is None else self.to_rim * transform.scale,
        )
