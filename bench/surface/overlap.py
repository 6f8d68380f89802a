"""Correspondences of two surfaces, their inliers (the overlap region), and the crop of a scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .similarity import Similarity
from .surface import ClosestPoints, Surface
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


@dataclass(frozen=True)
class OverlapRegion:
    """Which points count: those with a counterpart on the other surface.

    A point counts when its closest point on the other surface is not on that surface's boundary,
    lies within a distance, and faces the same way within an angle. The angle keeps parts out that
    no scanner sees, such as the inside of a mouth.

    Attributes:
        max_distance_mm: in the scan's millimetres; infinite turns the condition off.
        max_angle_deg: between the normals; 180 turns the condition off.
        boundary: whether points whose closest point lies on a boundary count too.
        fade_mm: from a rim and from the edge of the crop, over which the weight of a point in the
            alignment grows from nothing; errors have no such weight.
    """

    max_distance_mm: float = 10.0
    max_angle_deg: float = 90.0
    boundary: Literal["left_out", "counted"] = "left_out"
    fade_mm: float = 2.0

    def widen(self, factor: float) -> OverlapRegion:
        """The same with the distance multiplied."""
        return replace(self, max_distance_mm=self.max_distance_mm * factor)

    @property
    def without_fade(self) -> OverlapRegion:
        """The same region without the fading: all that errors need, and cheaper to tell."""
        return replace(self, fade_mm=0.0)

    def weights(self, normals: Float64Array, closest: ClosestPoints) -> Float64Array:
        """How much each of the points (N,) with unit normals (N, 3) counts in an alignment.

        1 for a point on the other surface that faces the same way, falling smoothly to 0 where it
        leaves the region of intersection; a weight that jumped there would let points enter and
        leave in turn, and no alignment would ever end.
        """
        nearness = np.clip(1 - (closest.distance / self.max_distance_mm) ** 2, 0.0, 1.0) ** 2
        weights = nearness * self._facing((normals * closest.normal).sum(1))
        if self.boundary == "counted":
            return weights
        if closest.to_boundary is None:
            return np.asarray(weights * ~closest.on_boundary)
        return np.asarray(weights * np.minimum(closest.to_boundary / self.fade_mm, 1.0))

    def stiffness(self, matches: Correspondences) -> Float64Array:
        """How much each point (N,) counts in how steeply the aligning force changes.

        The force of a distance d is weight · d, and the weight falls with d: the derivative is
        less than the weight. Never below half of it, so that steps from afar stay short.
        """
        share = (matches.distances / self.max_distance_mm) ** 2
        return np.asarray(
            matches.weights * np.clip((1 - 5 * share) / np.maximum(1 - share, 0.2), 0.5, 1.0)
        )

    def _facing(self, cosine: Float64Array) -> Float64Array:
        """From 1 for normals that agree to 0 at the largest angle; 1 for all without one."""
        if self.max_angle_deg >= 180:
            return np.ones_like(cosine)
        limit = np.cos(np.radians(self.max_angle_deg))
        return np.asarray(np.clip((cosine - limit) / (1 - limit), 0.0, 1.0))


@dataclass(frozen=True)
class Correspondences:
    """Points of one surface and their closest points on the other, in the scan's space, mm.

    Attributes:
        on_prediction: (N, 3), the one of the two that lies on the prediction.
        on_scan: (N, 3), the one on the scan.
        normals: (N, 3) unit normals of the surface that the closest points lie on.
        distances: (N,) between the two.
        weights: (N,) above zero in the region of intersection, see `OverlapRegion.weights`.
        own_normals: (N, 3) unit normals of the surface that the points themselves lie on; None
            where nothing is aligned by these matches.
    """

    on_prediction: Float64Array
    on_scan: Float64Array
    normals: Float64Array
    distances: Float64Array
    weights: Float64Array
    own_normals: Float64Array | None = None

    def scatter(self, count: int, index: IndexArray) -> Correspondences:
        """The same as rows `index` of so many points; the others have no match and no weight."""

        def placed(values: Float64Array, other: float) -> Float64Array:
            rows = np.full((count, *values.shape[1:]), other)
            rows[index] = values
            return rows

        nan = np.nan
        return Correspondences(
            placed(self.on_prediction, nan),
            placed(self.on_scan, nan),
            placed(self.normals, nan),
            placed(self.distances, np.inf),
            placed(self.weights, 0.0),
        )

    @property
    def inliers(self) -> NDArray[np.bool_]:
        """Which of the points (N,) lie in the region of intersection."""
        return self.weights > 0

    @property
    def point_to_plane(self) -> Float64Array:
        """|(p − q) · n| (N,) for each point p, its closest point q and the normal n there, mm."""
        offset = self.on_prediction - self.on_scan
        return np.asarray(np.abs((offset * self.normals).sum(1)))


def match_scan(
    scan: Surface,
    prediction: Surface,
    transform: Similarity,
    intersection: OverlapRegion,
    index: IndexArray,
) -> Correspondences:
    """Vertices of the scan against the prediction moved by a transform."""
    points, normals = scan.vertices[index], scan.normals[index]
    seen = transform.inverse().apply(points)
    found = prediction.closest(seen, intersection.fade_mm / transform.scale or None)
    closest = found.moved(transform)
    return Correspondences(
        closest.position,
        points,
        closest.normal,
        closest.distance,
        intersection.weights(normals, closest),
        normals,
    )


def match_prediction(
    prediction: Surface,
    scan: Surface,
    transform: Similarity,
    intersection: OverlapRegion,
    crop: Sphere,
    index: IndexArray,
) -> Correspondences:
    """Vertices of the prediction moved by a transform against the part of the scan in the crop."""
    points = transform.apply(prediction.vertices[index])
    normals = transform.turn(prediction.normals[index])
    closest = scan.closest(points, intersection.fade_mm or None)
    inside = _inside(crop, closest.position, intersection.fade_mm)
    return Correspondences(
        points,
        closest.position,
        closest.normal,
        closest.distance,
        intersection.weights(normals, closest) * inside,
        normals,
    )


def within_reach(
    prediction: Surface,
    transform: Similarity,
    intersection: OverlapRegion,
    crop: Sphere,
    margin_mm: float = 0.0,
) -> IndexArray:
    """The prediction's vertices that may have a counterpart in the crop, moved by a transform.

    Args:
        margin_mm: how far each may still move.
    """
    reach = crop.radius_mm + intersection.max_distance_mm + margin_mm
    away = np.linalg.norm(transform.apply(prediction.vertices) - crop.centre, axis=1)
    return np.flatnonzero(away <= reach)


def _inside(crop: Sphere, points: Float64Array, fade_mm: float) -> Float64Array:
    """1 in a crop, falling to 0 where it ends."""
    if np.isinf(crop.radius_mm):
        return np.ones(len(points))
    if fade_mm == 0:
        return crop.holds(points).astype(np.float64)
    depth = crop.radius_mm - np.linalg.norm(points - crop.centre, axis=1)
    return np.asarray(np.clip(depth / fade_mm, 0.0, 1.0))


def match_symmetric(
    prediction: Surface,
    scan: Surface,
    transform: Similarity,
    intersection: OverlapRegion,
    crop: Sphere,
) -> tuple[Correspondences, Correspondences]:
    """The scan's cropped vertices against the moved prediction, and all of its against the scan."""
    index = np.arange(len(prediction.vertices))
    return (
        match_scan(scan, prediction, transform, intersection, crop.vertices_of(scan)),
        match_prediction(prediction, scan, transform, intersection, crop, index),
    )
