"""Correspondences of two surfaces, and which of them are inliers (the overlap region)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .region import COVERED, OverlapRegion, Sphere
from .similarity import Similarity
from .surface import Surface
from .triangles import Float64Array, IndexArray, lengths_of_rows


class NoOverlapError(FacebenchError):
    """No point of the one surface has a counterpart on the other."""

    def __init__(
        self,
        message: str = "prediction and scan do not overlap",
        hint: str = "check that both are faces in millimetres",
    ) -> None:
        super().__init__(message, hint)


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
        """The matches as rows `index` of N points of the given areas (N,); the others have none
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
    # The scan goes to the prediction: moving the prediction would mean rebuilding its tree.
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
    away = lengths_of_rows((transform.apply(prediction.vertices) - crop.centre).T)
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
