"""Correspondences of two surfaces, their inliers (the overlap region), and the crop of a scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ...errors import FacebenchError
from .similarity import Similarity
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

    def fade(self, points: Float64Array, fade_mm: float) -> Float64Array:
        """1 for points (N, 3) in the sphere, falling to 0 over the last millimetres of it."""
        if np.isinf(self.radius_mm):
            return np.ones(len(points))
        if fade_mm == 0:
            return self.holds(points).astype(np.float64)
        depth = self.radius_mm - np.linalg.norm(points - self.centre, axis=1)
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

    max_distance_mm: Annotated[float, Field(gt=0)] = 10.0
    max_angle_deg: Annotated[float, Field(gt=0, le=180)] = 90.0
    boundary: Literal["left_out", "counted"] = "left_out"
    fade_mm: Annotated[float, Field(gt=0, le=50)] = 2.0

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
        leaves the overlap region; a weight that jumped there would let points enter and leave in
        turn, and no alignment would ever end.
        """
        nearness = np.clip(1 - (closest.distance / self.max_distance_mm) ** 2, 0.0, 1.0) ** 2
        weights = nearness * self._facing((normals * closest.normal).sum(1))
        if self.boundary == "counted":
            return weights
        if closest.to_boundary is None:
            return np.asarray(weights * ~closest.on_boundary)
        return np.asarray(weights * np.minimum(closest.to_boundary / self.fade_mm, 1.0))

    def stiffness(self, matches: Correspondences) -> Float64Array:
        """How much each point (N,) counts in the Hessian.

        The gradient of a distance d is weight · d, and the weight falls with d: the derivative is
        less than the weight. Never below half of it, so that steps from afar stay short.
        """
        share = (matches.distances / self.max_distance_mm) ** 2
        # d/dd of (1 - s)² d with s = (d / max)² is (1 - s)(1 - 5 s): the quotient by the weight.
        return np.asarray(
            matches.weights * np.clip((1 - 5 * share) / np.maximum(1 - share, 0.2), 0.5, 1.0)
        )

    def _facing(self, cosine: Float64Array) -> Float64Array:
        """From 1 for normals that agree to 0 at the largest angle; 1 for all without one."""
        if self.max_angle_deg >= 180:
            return np.ones_like(cosine)
        limit = np.cos(np.radians(self.max_angle_deg))
        return np.asarray(np.clip((cosine - limit) / (1 - limit), 0.0, 1.0))


# By which completeness is told, whatever a protocol counts: else numbers of `now`, in which every
# point of the scan counts, would call a mask of the nose a complete face.
COVERED = OverlapRegion(fade_mm=0.0)


@dataclass(frozen=True)
class Correspondences:
    """Points of one surface and their closest points on the other, in the scan's space, mm.

    Attributes:
        on_prediction: (N, 3), the one of the two that lies on the prediction.
        on_scan: (N, 3), the one on the scan.
        normals: (N, 3) unit normals of the surface that the closest points lie on.
        distances: (N,) between the two.
        weights: (N,) above zero in the overlap region, see `OverlapRegion.weights`.
        areas: (N,) surface that each point stands for, mm²; or 1 where points are counted.
        own_normals: (N, 3) unit normals of the surface that the points themselves lie on.
        covered: (N,) bool, whether the other surface shows the place, see `COVERED`.
    """

    on_prediction: Float64Array
    on_scan: Float64Array
    normals: Float64Array
    distances: Float64Array
    weights: Float64Array
    areas: Float64Array
    own_normals: Float64Array
    covered: NDArray[np.bool_]

    def scatter(self, areas: Float64Array, index: IndexArray) -> Correspondences:
        """The same as rows `index` of N points of the given areas (N,); the others have no match
        and no weight."""

        def placed(values: Float64Array, other: float) -> Float64Array:
            rows = np.full((len(areas), *values.shape[1:]), other)
            rows[index] = values
            return rows

        nan = np.nan
        return Correspondences(
            placed(self.on_prediction, nan),
            placed(self.on_scan, nan),
            placed(self.normals, nan),
            placed(self.distances, np.inf),
            placed(self.weights, 0.0),
            areas,
            placed(self.own_normals, nan),
            placed(self.covered.astype(np.float64), 0.0) > 0,
        )

    @property
    def inliers(self) -> NDArray[np.bool_]:
        """Which of the points (N,) lie in the overlap region."""
        return self.weights > 0

    @property
    def inlier_share(self) -> float:
        """Share of the area that lies in the overlap region."""
        return float(self.areas[self.inliers].sum() / self.areas.sum())

    def mean(self, values: Float64Array) -> float:
        """Mean over the area of the overlap region of values (N,), NaN where it is empty."""
        total = self.areas[self.inliers].sum()
        inside = values[self.inliers] @ self.areas[self.inliers]
        return float(inside / total) if total > 0 else float("nan")

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
    areas: Float64Array,
) -> Correspondences:
    """Vertices `index` of the scan, of areas (N,), against the prediction moved by a transform."""
    points, normals = scan.vertices[index], scan.normals[index]
    # The scan goes to the prediction: moving the prediction would mean building its tree anew.
    in_own_space = transform.inverse().apply(points)
    found = prediction.closest(in_own_space, intersection.fade_mm / transform.scale or None)
    closest = found.moved(transform)
    return Correspondences(
        closest.position,
        points,
        closest.normal,
        closest.distance,
        intersection.weights(normals, closest),
        areas,
        normals,
        COVERED.weights(normals, replace(closest, to_boundary=None)) > 0,
    )


def match_prediction(
    prediction: Surface,
    scan: Surface,
    transform: Similarity,
    intersection: OverlapRegion,
    crop: Sphere,
    index: IndexArray,
    areas: Float64Array,
) -> Correspondences:
    """Vertices `index` of the moved prediction, of areas (N,), against the scan in the crop."""
    points = transform.apply(prediction.vertices[index])
    normals = transform.turn(prediction.normals[index])
    closest = scan.closest(points, intersection.fade_mm or None)
    inside = crop.fade(closest.position, intersection.fade_mm)
    weights = intersection.weights(normals, closest) * inside
    return Correspondences(
        points,
        closest.position,
        closest.normal,
        closest.distance,
        weights,
        areas,
        normals,
        weights > 0,
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


def subsample(
    areas: Float64Array, index: IndexArray, wanted: float
) -> tuple[IndexArray, Float64Array]:
    """At least the wanted number of a surface's vertices `index`, evenly spread over its area.

    Systematic sampling: a vertex is taken whenever the area summed up along the order of the
    vertices, a space-filling curve, passes a multiple of a step. The sum runs over the whole
    surface, so that no choice changes with a vertex that comes or goes elsewhere.

    Args:
        areas: (V,) of all vertices, in their order.
        index: ascending, those that may be taken.
        wanted: infinite for all.

    Returns:
        Indices (N,) and the area (N,) that each stands for: the same for all where some were left
        out, but for a vertex that stands for several steps.
    """
    if len(index) <= wanted:
        return index, areas[index]
    # Rounded down to a quarter of an octave: with an exact quotient one vertex more or less would
    # shift every choice.
    step = 2 ** (np.floor(4 * np.log2(areas[index].sum() / wanted)) / 4)
    passed = np.floor(np.cumsum(areas) / step)
    counts = np.diff(passed, prepend=0.0)[index]
    taken = counts > 0
    return index[taken], counts[taken] * step


def match_symmetric(
    prediction: Surface,
    scan: Surface,
    transform: Similarity,
    intersection: OverlapRegion,
    crop: Sphere,
) -> tuple[Correspondences, Correspondences]:
    """The scan's cropped vertices against the moved prediction, and all of its against the scan."""
    cropped, own = crop.vertices_of(scan), np.arange(len(prediction.vertices))
    return (
        match_scan(scan, prediction, transform, intersection, cropped, scan.areas[cropped]),
        match_prediction(prediction, scan, transform, intersection, crop, own, prediction.areas),
    )
