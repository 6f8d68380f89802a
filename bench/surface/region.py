"""What takes part in a measurement: the crop of a scan, and the overlap region of two surfaces.

Settings and plain geometry: a protocol is read, and a mistake in it told, without NumPy and the
library that finds closest points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Gt, Le

from ...errors import FacebenchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .overlap import Correspondences
    from .surface import ClosestPoints, Surface
    from .triangles import Float64Array, IndexArray


@dataclass(frozen=True)
class Sphere:
    """A crop of a surface that does not cut its triangles.

    A point of the surface is in or out by its own position, so that the crop, unlike one that
    drops whole triangles, has no ragged boundary that depends on the triangulation.

    Attributes:
        centre: (3,) in the scan's space, mm.
        radius_mm: infinite for no crop.
    """

    centre: Float64Array
    radius_mm: float

    @classmethod
    def everywhere(cls) -> Sphere:
        """The crop that leaves nothing out."""
        import numpy as np

        return cls(np.zeros(3), math.inf)

    def holds(self, points: Float64Array) -> NDArray[np.bool_]:
        """Which of the points (N, 3) lie in the sphere."""
        from .triangles import lengths_of_rows

        return lengths_of_rows((points - self.centre).T) <= self.radius_mm

    def vertices_of(self, scan: Surface) -> IndexArray:
        """The scan's vertices in the sphere.

        Raises:
            FacebenchError: when there are none.
        """
        (inside,) = self.holds(scan.vertices).nonzero()
        if not len(inside):
            raise FacebenchError(
                f"the scan has nothing within {self.radius_mm:g} mm of the nose tip",
                "check the nose tip's label and the scan's unit",
            )
        return inside

    def fade(self, points: Float64Array, fade_mm: float) -> Float64Array:
        """1 for points (N, 3) in the sphere, falling to 0 over the last millimetres of it."""
        import numpy as np

        from .triangles import lengths_of_rows

        if math.isinf(self.radius_mm):
            return np.ones(len(points))
        if fade_mm == 0:
            return self.holds(points).astype(np.float64)
        depth = self.radius_mm - lengths_of_rows((points - self.centre).T)
        return np.asarray(np.clip(depth / fade_mm, 0.0, 1.0))


@dataclass(frozen=True)
class OverlapRegion:
    """Which correspondences are inliers: where both surfaces show the same part of the face.

    A point is an inlier when its closest point on the other surface is not on that surface's
    boundary, lies within a distance, and faces the same way within an angle. The angle keeps parts
    out that no scanner sees, such as the inside of a mouth.

    Attributes:
        max_distance_mm: in the scan's millimetres; infinite turns the condition off.
        max_angle_deg: between the normals; 180 turns the condition off.
        boundary: whether points whose closest point lies on a boundary count too.
        fade_mm: from a boundary and from the edge of the crop, over which the weight of a point in
            the alignment grows from nothing; errors have no such weight.
    """

    max_distance_mm: Annotated[float, Gt(0)] = 10.0
    max_angle_deg: Annotated[float, Gt(0), Le(180)] = 90.0
    boundary: Literal["left_out", "counted"] = "left_out"
    fade_mm: Annotated[float, Gt(0), Le(50)] = 2.0

    def widen(self, factor: float) -> OverlapRegion:
        """The region with its distance multiplied."""
        return replace(self, max_distance_mm=self.max_distance_mm * factor)

    @property
    def without_fade(self) -> OverlapRegion:
        """The region without the fading: all that errors need, and cheaper to compute."""
        return replace(self, fade_mm=0.0)

    def weights(self, normals: Float64Array, closest: ClosestPoints) -> Float64Array:
        """How much each of the points (N,) with unit normals (N, 3) counts in an alignment.

        1 for a point on the other surface that faces the same way, falling smoothly to 0 where it
        leaves the overlap region; a weight that jumped there would let points enter and leave in
        turn, and no alignment would ever end.
        """
        from .triangles import dot

        nearness = (1 - (closest.distance / self.max_distance_mm) ** 2).clip(0.0, 1.0) ** 2
        weights: Float64Array = nearness * self._facing(dot(normals, closest.normal))
        if self.boundary == "counted":
            return weights
        if closest.to_boundary is None:
            weights *= ~closest.on_boundary
        else:
            weights *= (closest.to_boundary / self.fade_mm).clip(max=1.0)
        return weights

    def stiffness(self, matches: Correspondences) -> Float64Array:
        """How much each point (N,) counts in the Hessian.

        The gradient of a distance d is weight · d, and the weight falls with d: the derivative is
        less than the weight. Never below half of it, so that steps from afar stay short.
        """
        share = (matches.distances / self.max_distance_mm) ** 2
        # d/dd of (1 - s)² d with s = (d / max)² is (1 - s)(1 - 5 s): the quotient by the weight.
        quotient: Float64Array = ((1 - 5 * share) / (1 - share).clip(min=0.2)).clip(0.5, 1.0)
        return matches.weights * quotient

    def _facing(self, cosine: Float64Array) -> Float64Array:
        """From 1 for normals that agree to 0 at the largest angle; 1 for all without one."""
        if self.max_angle_deg >= 180:
            return cosine**0
        limit = math.cos(math.radians(self.max_angle_deg))
        return ((cosine - limit) / (1 - limit)).clip(0.0, 1.0)


COVERED = OverlapRegion(fade_mm=0.0)
"""By which completeness is told, whatever a protocol counts: else numbers of `now`, in which every
point of the scan counts, would call a mask of the nose a complete face."""
