"""The region of intersection: which points of one surface the other one also shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .similarity import Similarity
from .surface import ClosestPoints, Surface
from .triangles import Float64Array, IndexArray


@dataclass(frozen=True)
class Intersection:
    """Which points count: those with a counterpart on the other surface.

    A point counts when its closest point on the other surface is not on that surface's boundary,
    lies within a distance, and faces the same way within an angle. The angle keeps parts out that
    no scanner sees, such as the inside of a mouth.

    Attributes:
        max_distance_mm: in the scan's millimetres.
        max_angle_deg: between the normals; 180 turns the condition off.
        exclude_boundary: whether points beyond the rim of the other surface are left out.
    """

    max_distance_mm: float = 10.0
    max_angle_deg: float = 90.0
    exclude_boundary: bool = True

    def widened(self, factor: float) -> Intersection:
        """The same with the distance multiplied."""
        return replace(self, max_distance_mm=self.max_distance_mm * factor)

    def holds(self, normals: Float64Array, closest: ClosestPoints) -> NDArray[np.bool_]:
        """Which of the points (N,) with unit normals (N, 3) count, given their closest points."""
        facing = (normals * closest.normal).sum(1)
        beyond_rim = closest.on_boundary & self.exclude_boundary
        return np.asarray(
            ~beyond_rim
            & (closest.distance <= self.max_distance_mm)
            & (facing >= np.cos(np.radians(self.max_angle_deg)))
        )


@dataclass(frozen=True)
class Matches:
    """Points of one surface and their closest points on the other, in the scan's space, mm.

    Attributes:
        points: (N, 3).
        closest: N closest points.
        kept: (N,) bool, the points in the region of intersection.
        on_prediction: (N, 3), whichever of the two lies on the prediction and moves with it.
    """

    points: Float64Array
    closest: ClosestPoints
    kept: NDArray[np.bool_]
    on_prediction: Float64Array

    @property
    def residuals(self) -> Float64Array:
        """Signed point-to-plane distances (N,) from the scan to the prediction along the normal."""
        on_scan = self.points + self.closest.position - self.on_prediction
        return np.asarray(((self.on_prediction - on_scan) * self.closest.normal).sum(1))


def match_scan(
    scan: Surface,
    prediction: Surface,
    transform: Similarity,
    intersection: Intersection,
    index: IndexArray,
) -> Matches:
    """Vertices of the scan against the prediction moved by a transform."""
    points = scan.vertices[index]
    closest = prediction.closest(transform.inverse().apply(points)).moved(transform)
    kept = intersection.holds(scan.normals[index], closest)
    return Matches(points, closest, kept, closest.position)


def match_prediction(
    prediction: Surface,
    scan: Surface,
    transform: Similarity,
    intersection: Intersection,
    index: IndexArray,
) -> Matches:
    """Vertices of the prediction moved by a transform against the scan."""
    points = transform.apply(prediction.vertices[index])
    closest = scan.closest(points)
    kept = intersection.holds(transform.turn(prediction.normals[index]), closest)
    return Matches(points, closest, kept, points)


def match_both(
    prediction: Surface, scan: Surface, transform: Similarity, intersection: Intersection
) -> tuple[Matches, Matches]:
    """All vertices of the scan against the moved prediction, and all of that against the scan."""
    scan_index, index = np.arange(len(scan.vertices)), np.arange(len(prediction.vertices))
    return (
        match_scan(scan, prediction, transform, intersection, scan_index),
        match_prediction(prediction, scan, transform, intersection, index),
    )
