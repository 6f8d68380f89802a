"""A prediction laid on a scan, and the errors of its points under a protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..protocol.record import Protocol
from ..registration.dense import Alignment, AlignmentSettings, align
from ..registration.initialise import Side, Start
from ..surface.crop import Sphere
from ..surface.intersection import Intersection, Matches, match_both
from ..surface.similarity import Similarity
from ..surface.surface import Surface
from ..surface.triangles import Float64Array
from ..surface.umeyama import similarity_between
from .distance import (
    DIRECTION_WEIGHTS,
    MEASURES,
    closest_point_means,
    kept_errors,
    statistics,
    vertex_errors,
)

_POINT_TO_SURFACE = (
    "point_to_surface_scan_to_prediction_mm",
    "point_to_surface_prediction_to_scan_mm",
)


@dataclass(frozen=True, eq=False)
class Laid:
    """What can be measured once the prediction lies on the scan.

    Attributes:
        alignment: how it came to lie there, and the closest points of each on the other.
        errors: of the scan's points and of the prediction's that count, mm.
        weights: of the two.
        vertex_errors: (V,) at the prediction's own vertices, mm, NaN where one does not count.
        scan_errors: the same at the scan's own, all NaN for corresponding points.
    """

    alignment: Alignment
    errors: tuple[Float64Array, Float64Array]
    weights: tuple[float, float]
    vertex_errors: Float64Array
    scan_errors: Float64Array

    def statistics(self, statistic: str) -> dict[str, float]:
        """The columns of a score that tell of distances: see `score.Score`."""
        means = closest_point_means(self.alignment.matches)
        counted = [index for index, weight in enumerate(self.weights) if weight > 0]
        shares = [self.weights[index] * means[_POINT_TO_SURFACE[index]] for index in counted]
        return {
            **statistics(self.errors, self.weights, statistic),
            **means,
            "point_to_surface_mm": sum(shares),
            "n_points": sum(len(self.errors[index]) for index in counted),
        }


def lay(prediction: Side, scan: Side, start: Start, crop: Sphere, protocol: Protocol) -> Laid:
    """Align densely where the protocol says so, and take its distances.

    Raises:
        FacebenchError: when the surfaces do not overlap.
    """
    laid = align if protocol.alignment.dense else _as_started
    alignment = laid(
        prediction.surface,
        scan.surface,
        start.transform,
        protocol.intersection,
        crop,
        protocol.alignment,
    )
    measure = protocol.distance.measure
    weights = DIRECTION_WEIGHTS[protocol.distance.direction]
    vertex_of = prediction.surface.vertex_of
    if measure == "correspondence":
        found, alignment = _corresponding(prediction, scan, start, crop, protocol, alignment)
        errors = np.empty(0), MEASURES[measure](found)[found.kept]
        at_vertices = vertex_errors(found, measure, vertex_of)
        nowhere = np.full(len(scan.mesh.vertices), np.nan)
        return Laid(alignment, errors, weights, at_vertices, nowhere)
    at_vertices = vertex_errors(alignment.matches[1], measure, vertex_of)
    at_scan = _scan_errors(alignment, scan.surface, crop, measure)
    return Laid(alignment, kept_errors(alignment.matches, measure), weights, at_vertices, at_scan)


def _scan_errors(alignment: Alignment, scan: Surface, crop: Sphere, measure: str) -> Float64Array:
    cropped = alignment.matches[0].among(len(scan.vertices), crop.vertices_of(scan))
    return vertex_errors(cropped, measure, scan.vertex_of)


def _as_started(
    prediction: Surface,
    scan: Surface,
    start: Similarity,
    intersection: Intersection,
    crop: Sphere,
    settings: AlignmentSettings,
) -> Alignment:
    """The alignment of a protocol in which the landmarks alone decide."""
    matches = match_both(prediction, scan, start, intersection, crop)
    square = [(side.distances[side.kept] ** 2).mean() for side in matches if side.kept.any()]
    return Alignment(
        transform=start,
        iterations=0,
        converged=True,
        last_step_mm=0.0,
        overlap=float(matches[0].kept.mean()),
        residual_mm=float(np.sqrt(np.mean(square))),
        matches=matches,
    )


def _corresponding(
    prediction: Side,
    scan: Side,
    start: Start,
    crop: Sphere,
    protocol: Protocol,
    alignment: Alignment,
) -> tuple[Matches, Alignment]:
    """The prediction's vertices with their corresponding points, and where these put it.

    The transform of the closest points is the best for closest points only: it slides and shrinks
    a wrong face until they are near. Distances between corresponding points are taken where those
    are nearest to each other.
    """
    from ..registration.nonrigid import correspond

    transform, mesh = alignment.transform, prediction.mesh
    moved = Surface(replace(mesh, vertices=transform.apply(np.asarray(mesh.vertices, np.float64))))
    pairs = start.pairs and (transform.apply(start.pairs[0]), start.pairs[1])
    found = correspond(moved, scan.surface, crop, protocol.intersection, pairs)
    factor = 1.0 if protocol.alignment.scale == "none" else None
    kept = found.kept
    back = similarity_between(found.on_prediction[kept], found.on_scan[kept], factor)
    points = back.apply(found.on_prediction)
    distances = np.linalg.norm(points - found.on_scan, axis=1)
    return (
        replace(found, on_prediction=points, distances=distances),
        replace(alignment, transform=back.after(transform)),
    )
