"""Dense alignment of two surfaces by a similarity transform, to convergence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..errors import FacebenchError
from .crop import Sphere
from .intersection import (
    Intersection,
    Matches,
    match_both,
    match_prediction,
    match_scan,
)
from .similarity import Similarity, step_jacobian
from .surface import Surface
from .triangles import Float64Array, IndexArray

MIN_MATCHES = 50
"""Fewer matched points than this do not determine seven parameters of a face."""

COARSE_TOLERANCE_MM = 0.1
COARSE_STEPS = 15
"""Steps on a part of the points end here: their solution is off by more than that anyway."""

SETTLED_MM = 0.02
"""Below this motion the region of intersection is held as it is. The sum that is minimised is then
continuous, and the steps come to an end; else points enter and leave it in turn for ever."""


@dataclass(frozen=True)
class AlignmentSettings:
    """Where the alignment starts, what it may change, and how far it is taken.

    Attributes:
        start: `landmarks_or_search` takes landmarks where both sides have them and else searches
            for the pose; `seven_landmarks` needs NoW's seven points of both sides.
        dense: whether the surfaces are aligned after the start, or the start is the result.
        scale: `per_mesh`, one factor for each prediction (a similarity); `global`, one for all
            predictions of a run; `none`, millimetres as predicted (rigid).
        direction: whose distances are minimised: both with half of the weight each, or those of
            the scan's points to the prediction only.
        stop: `motion`, when no point of the prediction moves further than the tolerance in one
            step; `mean_change`, when the mean distance falls by less than the tolerance.
        tolerance_mm: see `stop`.
        max_iterations: steps over all points, before the region of intersection is held and again
            after, until it is said not to have converged.
    """

    start: Literal["landmarks_or_search", "seven_landmarks"] = "landmarks_or_search"
    dense: bool = True
    scale: Literal["per_mesh", "global", "none"] = "per_mesh"
    direction: Literal["symmetric", "scan_to_prediction"] = "symmetric"
    stop: Literal["motion", "mean_change"] = "motion"
    tolerance_mm: float = 2e-3
    max_iterations: int = 40


@dataclass(frozen=True)
class Alignment:
    """Where the prediction came to lie.

    Attributes:
        transform: from the prediction's space to the scan's.
        iterations: steps taken over all points.
        converged: whether the last step was below the tolerance.
        last_step_mm: largest motion of a point in the last step.
        overlap: share of the scan's points that lie in the region of intersection.
        residual_mm: root of the mean squared distance to the surface there, of both directions.
    """

    transform: Similarity
    iterations: int
    converged: bool
    last_step_mm: float
    overlap: float
    residual_mm: float


def align(
    prediction: Surface,
    scan: Surface,
    start: Similarity,
    intersection: Intersection,
    crop: Sphere,
    settings: AlignmentSettings | None = None,
) -> Alignment:
    """Gauss-Newton steps over the similarity's parameters until nothing moves.

    Minimises the squared distances of the scan's vertices to the prediction's surface and of the
    prediction's to the scan's, each direction with half of the weight, over the region of
    intersection. Both directions are needed: with one, a free scale can shrink the prediction into
    the scan. A distance changes along the line to the closest point; that is the triangle's normal
    everywhere but at edges, where steps along a normal minimise nothing and end in circles.

    Args:
        prediction: in its own space.
        scan: in mm.
        start: from the prediction's space to the scan's, as `approach` gives it.
        intersection: which points count.
        crop: the part of the scan that counts.
        settings: defaults to a similarity to 2e-3 mm.

    Raises:
        FacebenchError: when the surfaces do not overlap.
    """
    settings = settings or AlignmentSettings()
    coarse = _Problem.of(prediction, scan, intersection, crop, 4000)
    transform, _, _ = coarse.solve(start, settings, COARSE_TOLERANCE_MM, COARSE_STEPS)
    problem = _Problem.of(prediction, scan, intersection, crop, None).near(transform)
    limit = settings.max_iterations
    transform, steps, _ = problem.solve(transform, settings, SETTLED_MM, limit)
    transform, last_steps, last_motion = problem.with_held_region(transform).solve(
        transform, settings, settings.tolerance_mm, limit
    )
    to_prediction, to_scan = match_both(prediction, scan, transform, intersection, crop)
    square = [np.average(side.distances**2, weights=side.kept) for side in (to_prediction, to_scan)]
    return Alignment(
        transform,
        steps + last_steps,
        last_motion <= settings.tolerance_mm,
        last_motion,
        float(to_prediction.kept.mean()),
        float(np.sqrt(np.mean(square))),
    )


def approach(
    prediction: Surface,
    scan: Surface,
    start: Similarity,
    intersection: Intersection,
    settings: AlignmentSettings,
) -> Similarity:
    """From a rough start to within a few mm: on few points and a wide intersection."""
    wide, everywhere = intersection.widened(3.0), Sphere.everywhere()
    problem = _Problem.of(prediction, scan, wide, everywhere, 1500)
    return problem.solve(start, settings, COARSE_TOLERANCE_MM, COARSE_STEPS)[0]


@dataclass(frozen=True)
class _Problem:
    """Two surfaces, and the points of each that take part."""

    prediction: Surface
    scan: Surface
    intersection: Intersection
    crop: Sphere
    prediction_points: IndexArray
    scan_points: IndexArray
    held_weights: tuple[Float64Array, ...] | None = None

    @classmethod
    def of(
        cls,
        prediction: Surface,
        scan: Surface,
        intersection: Intersection,
        crop: Sphere,
        points: int | None,
    ) -> _Problem:
        """All points of the prediction and the cropped scan, or about as many as wanted of each."""
        own, theirs = np.arange(len(prediction.vertices)), crop.vertices_of(scan)
        return cls(
            prediction, scan, intersection, crop, _spread(own, points), _spread(theirs, points)
        )

    def matches(self, transform: Similarity) -> tuple[Matches, Matches]:
        """Scan points on the moved prediction, and moved prediction points on the scan."""
        prediction, scan, intersection = self.prediction, self.scan, self.intersection
        on_prediction = match_scan(scan, prediction, transform, intersection, self.scan_points)
        on_scan = match_prediction(
            prediction, scan, transform, intersection, self.crop, self.prediction_points
        )
        if self.held_weights is None:
            return on_prediction, on_scan
        scan_weights, weights = self.held_weights
        return replace(on_prediction, weights=scan_weights), replace(on_scan, weights=weights)

    def near(self, transform: Similarity) -> _Problem:
        """The same without the points that are far from where they would count."""
        to_prediction, to_scan = self.matches(transform)
        reach = 2 * self.intersection.max_distance_mm
        return replace(
            self,
            scan_points=self.scan_points[to_prediction.distances < reach],
            prediction_points=self.prediction_points[to_scan.distances < reach],
        )

    def with_held_region(self, transform: Similarity) -> _Problem:
        """The same over the region of intersection as it is now, with the weights of now."""
        sides = self.matches(transform)
        to_prediction, to_scan = sides
        return replace(
            self,
            scan_points=self.scan_points[to_prediction.kept],
            prediction_points=self.prediction_points[to_scan.kept],
            held_weights=tuple(side.weights[side.kept] for side in sides),
        )

    def solve(
        self, transform: Similarity, settings: AlignmentSettings, tolerance: float, limit: int
    ) -> tuple[Similarity, int, float]:
        """Step until the largest motion is within a tolerance: result, steps, last motion."""
        moved = np.inf
        for iteration in range(1, limit + 1):
            update = _gauss_newton_step(self.matches(transform), settings.scale != "none")
            moved = _largest_motion(update, transform.apply(_corners(self.prediction.vertices)))
            transform = update.after(transform)
            if moved <= tolerance:
                return transform, iteration, moved
        return transform, limit, moved


def _gauss_newton_step(sides: tuple[Matches, Matches], scale: bool) -> Similarity:
    """The motion of the prediction that minimises the linearised residuals of both directions."""
    if min(int(side.kept.sum()) for side in sides) < MIN_MATCHES:
        raise FacebenchError(
            "prediction and scan do not overlap", "check that both are faces in millimetres"
        )
    parameters = 7 if scale else 6
    centre = np.mean([side.on_prediction[side.kept].mean(0) for side in sides], axis=0)
    hessian, gradient = np.zeros((parameters, parameters)), np.zeros(parameters)
    for side in sides:
        directions = side.directions
        jacobian = step_jacobian(side.on_prediction - centre, directions)[:, :parameters]
        residuals = ((side.on_prediction - side.on_scan) * directions).sum(1)
        weighted = jacobian.T * (side.weights / side.weights.sum())
        hessian += weighted @ jacobian
        gradient += weighted @ residuals
    step = np.zeros(7)
    step[:parameters] = -np.linalg.lstsq(hessian, gradient, rcond=1e-14)[0]
    return Similarity.step(step, centre)


def _spread(index: IndexArray, wanted: int | None) -> IndexArray:
    """Every so many-th of the points, so that about the wanted number is left."""
    return index if wanted is None else index[:: max(1, len(index) // wanted)]


def _corners(points: Float64Array) -> Float64Array:
    """The eight corners (8, 3) of the bounding box."""
    box = np.stack([points.min(0), points.max(0)])
    return np.asarray(box[np.array(list(np.ndindex(2, 2, 2))), np.arange(3)])


def _largest_motion(update: Similarity, points: Float64Array) -> float:
    return float(np.linalg.norm(update.apply(points) - points, axis=1).max())
