"""ICP objective over a similarity: squared closest-point distances, and its Newton solver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..protocol.record import AlignmentSettings
from ..surface.ordering import along_own_curve
from ..surface.overlap import (
    Correspondences,
    NoOverlapError,
    match_prediction,
    match_scan,
    subsample,
    within_reach,
)
from ..surface.region import OverlapRegion, Sphere
from ..surface.similarity import Similarity, step_jacobian
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, IndexArray, cross

MIN_INLIERS = 50  # Fewer matched points than this do not determine seven parameters of a face.
# How far the prediction may come by its steps without its points within reach being others.
MARGIN_MM = 3.0
# On a subsample, where each step costs little and the minimum is not yet that of all points.
MAX_STEPS = 15
NEAR_MM = 1.0  # Steps up to this length say something about the slope where they lead.


class Preconditioner:
    """What makes a turn, a shift and a scale comparable: millimetres at a typical point.

    Args:
        points: (N, 3), mm.
        areas: (N,) that each stands for.

    Attributes:
        centre: (3,) their centroid, about which the prediction turns and grows, mm.
        radius: characteristic length, their root-mean-square distance from it, mm.
    """

    def __init__(self, points: Float64Array, areas: Float64Array) -> None:
        shares = areas / areas.sum()
        self.centre = shares @ points
        self.radius = float(np.sqrt(shares @ ((points - self.centre) ** 2).sum(1)))

    def motion(self, step: Float64Array) -> Similarity:
        """The motion for a step (7,) in mm: turn, shift and growth of a point at the radius."""
        in_own_units = step / np.array([self.radius] * 3 + [1.0] * 3 + [self.radius])
        return Similarity.step(in_own_units, self.centre)


@dataclass(frozen=True)
class Objective:
    """Mean squared closest-point distance of a prediction and a scan, over the overlap region.

    Attributes:
        prediction: in its own space.
        scan: in mm.
        intersection: which correspondences are inliers.
        crop: the part of the scan that counts.
        settings: which directions count, and whether the size is free.
    """

    prediction: Surface
    scan: Surface
    intersection: OverlapRegion
    crop: Sphere
    settings: AlignmentSettings

    @cached_property
    def cropped(self) -> IndexArray:
        """The scan's vertices in the crop, along a curve that fills the space they lie in."""
        inside = self.crop.vertices_of(self.scan)
        # Their own curve: the scan's runs through shoulders and hair, and with them would change
        # which points a subsample takes.
        return np.asarray(inside[along_own_curve(self.scan.vertices[inside])])

    def match_scan(
        self, transform: Similarity, index: IndexArray, areas: Float64Array
    ) -> Correspondences:
        """Vertices of the scan and their closest points on the moved prediction."""
        surfaces, rules = (self.scan, self.prediction), self.intersection
        return match_scan(*surfaces, transform, rules, index, areas)

    def match_prediction(
        self, transform: Similarity, index: IndexArray, areas: Float64Array
    ) -> Correspondences:
        """Vertices of the moved prediction and their closest points on the cropped scan."""
        surfaces, rules = (self.prediction, self.scan), self.intersection
        return match_prediction(*surfaces, transform, rules, self.crop, index, areas)

    def match_all(self, transform: Similarity) -> tuple[Correspondences, Correspondences]:
        """The cropped scan's points on the moved prediction, all of the prediction's on the scan.

        Those of the prediction that are out of reach have no match. The weights tell the overlap
        region only, without its fading.
        """
        own, theirs = self.prediction.areas, self.scan.areas
        reach = within_reach(self.prediction, transform, self.intersection, self.crop)
        cropped = self.crop.vertices_of(self.scan)
        sharp = replace(self, intersection=self.intersection.without_fade)
        on_scan = sharp.match_prediction(transform, reach, own[reach])
        on_prediction = sharp.match_scan(transform, cropped, theirs[cropped])
        return on_prediction, on_scan.scatter(own, reach)


class SubsampledObjective:
    """The objective over a subset of points of each surface, evenly spread, and its Newton steps.

    The prediction's points within reach and the cropped scan's take part; or about so many of each.

    Args:
        whole: over all points.
        initial: within a few mm of the minimum.
        points: wanted of each surface, infinite for all.
    """

    def __init__(self, whole: Objective, initial: Similarity, points: float) -> None:
        self.whole = whole
        # The margin: points are chosen once, or the objective would change from step to step.
        reach = within_reach(whole.prediction, initial, whole.intersection, whole.crop, MARGIN_MM)
        cropped = whole.cropped
        areas = whole.scan.areas[cropped]
        taken, of_scan = subsample(areas, np.arange(len(cropped)), points)
        self._prediction_points = subsample(whole.prediction.areas, reach, points)
        self._scan_points = cropped[taken], of_scan
        self.preconditioner = Preconditioner(whole.scan.vertices[cropped], areas)

    def minimise(self, transform: Similarity, tolerance_mm: float) -> Similarity:
        """Quasi-Newton steps until no point moves further than a tolerance."""
        secant = SecantUpdate()
        for _ in range(MAX_STEPS):
            step = secant.step(self.newton_step(self.match(transform)))
            moved = self.motion_mm(step, transform)
            transform = self.preconditioner.motion(step).after(transform)
            if moved <= tolerance_mm:
                break
        return transform

    def match(self, transform: Similarity) -> tuple[Correspondences, ...]:
        """The correspondences whose distances are minimised: of the scan's points, and of the
        prediction's where both directions count."""
        on_prediction = self.whole.match_scan(transform, *self._scan_points)
        if self.whole.settings.direction == "scan_to_prediction":
            return (on_prediction,)
        return on_prediction, self.whole.match_prediction(transform, *self._prediction_points)

    def newton_step(self, directions: tuple[Correspondences, ...]) -> Float64Array:
        """The step (7,) to where the squared distances are least, as far as they are quadratic.

        Each direction has the same share of the weight, whatever its area.

        Raises:
            NoOverlapError: when too few of the points have a counterpart.
        """
        if min(int(matches.inliers.sum()) for matches in directions) < MIN_INLIERS:
            raise NoOverlapError
        free = self.whole.settings.scale != "none"
        parameters = 7 if free else 6
        sums = [self._gradient_and_hessian(matches) for matches in directions]
        gradient = np.sum([one for one, _ in sums], axis=0)[:parameters]
        hessian = np.sum([one for _, one in sums], axis=0)[:parameters, :parameters]
        step = np.zeros(7)
        # Least squares: on a sphere or a plane some motions change nothing, and stay zero.
        step[:parameters] = -np.linalg.lstsq(hessian, gradient, rcond=1e-14)[0]
        return step

    def _gradient_and_hessian(self, matches: Correspondences) -> tuple[Float64Array, Float64Array]:
        """Gradient (7,) of half the weighted mean square of the distances, and Hessian (7, 7).

        A distance changes along the normal of the surface that the point lies on. The line to the
        closest point is that too on average, but leans with the roughness of the other surface,
        which makes slow directions stiff; measured over all seven, the normals halve the number of
        steps.
        """
        total = (matches.weights * matches.areas).sum()
        scale = matches.areas / total
        arms = (matches.on_prediction - self.preconditioner.centre) / self.preconditioner.radius
        offset = matches.on_prediction - matches.on_scan
        force = offset * (matches.weights * scale)[:, None]
        # The transpose of `step_jacobian`, applied to the offsets: torque, force and growth.
        gradient = np.concatenate([cross(arms, force).sum(0), force.sum(0), [(arms * force).sum()]])
        rows = step_jacobian(arms, matches.own_normals)
        return gradient, (rows.T * (self.whole.intersection.stiffness(matches) * scale)) @ rows

    def motion_mm(self, step: Float64Array, transform: Similarity) -> float:
        """How far a step (7,) moves a point of the prediction at most."""
        # The box's corners move at least as far as any point inside it.
        corners = transform.apply(self.whole.prediction.corners)
        moved = self.preconditioner.motion(step).apply(corners)
        return float(np.linalg.norm(moved - corners, axis=1).max())


class SecantUpdate:
    """How the Newton step changes along the way, learnt from the steps taken (Broyden 1965).

    What the pieces' quadratics leave out, where points change pieces and weights change with the
    pose, makes Newton steps fall short by a fixed share. Broyden's update of their slope takes
    that share out.
    """

    def __init__(self) -> None:
        # (7, 7) derivative of the Newton step by the motion; -1 where it is exact.
        self._slope = -np.eye(7)
        # The Newton step (7,) of before and the step (7,) that was taken.
        self._last: tuple[Float64Array, Float64Array] | None = None

    def step(self, newton: Float64Array) -> Float64Array:
        """The step (7,) to where the Newton step, (7,) here, should vanish.

        Where what was learnt asks for more than twice the Newton step, that is taken instead.
        """
        if self._last is not None:
            self._learn(newton, *self._last)
        step = np.asarray(-np.linalg.lstsq(self._slope, newton, rcond=1e-3)[0], np.float64)
        if np.linalg.norm(step) > 2 * np.linalg.norm(newton):
            step = newton
        self._last = newton, step
        return step

    def _learn(self, newton: Float64Array, before: Float64Array, step: Float64Array) -> None:
        """What the Newton step of here says about the Newton step and the step before it.

        A Newton step that has grown says that the way led astray, and what was learnt is forgotten.
        """
        if np.linalg.norm(newton) > np.linalg.norm(before):
            self._slope = -np.eye(7)
        # Long steps cross many triangles: their secant is no derivative.
        elif 0 < np.linalg.norm(step) < NEAR_MM:
            missed = newton - before - self._slope @ step
            self._slope = self._slope + np.outer(missed, step) / (step @ step)


def mean_distance(directions: tuple[Correspondences, ...]) -> float:
    """Mean distance in the overlap region, each direction with the same share."""
    return float(np.mean([matches.mean(matches.distances) for matches in directions]))
