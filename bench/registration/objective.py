"""ICP objective over a similarity: squared closest-point distances, and its Newton solver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...errors import FacebenchError
from ..protocol.record import AlignmentSettings
from ..surface.ordering import along_own_curve
from ..surface.overlap import (
    Correspondences,
    OverlapRegion,
    Sphere,
    match_prediction,
    match_scan,
    within_reach,
)
from ..surface.similarity import Similarity, step_jacobian
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, IndexArray, cross

NEAR_MM = 1.0  # Steps up to this length say something about the slope where they lead.


@dataclass(frozen=True)
class Preconditioner:
    """What makes a turn, a shift and a scale comparable: millimetres at a typical point.

    Attributes:
        centre: (3,) about which the prediction turns and grows, mm.
        radius: typical distance of a point from it, mm.
    """

    centre: Float64Array
    radius: float

    @classmethod
    def of(cls, points: Float64Array) -> Preconditioner:
        """Mean and root-mean-square distance of points (N, 3)."""
        centre = points.mean(0)
        return cls(centre, float(np.sqrt(((points - centre) ** 2).sum(1).mean())))

    def motion(self, step: Float64Array) -> Similarity:
        """The motion for a step (7,) in mm: turn, shift and growth of a point at the radius."""
        in_own_units = step / np.array([self.radius] * 3 + [1.0] * 3 + [self.radius])
        return Similarity.step(in_own_units, self.centre)


def newton_step(
    sides: tuple[Correspondences, ...],
    intersection: OverlapRegion,
    preconditioner: Preconditioner,
    scale: bool,
) -> Float64Array:
    """The step (7,) to where the squared distances are least, as far as they are quadratic.

    Each side has the same share of the weight, whatever its number of points.

    Args:
        sides: closest points of one or both directions, in the scan's space.
        intersection: gave the weights.
        preconditioner: the unit of the step.
        scale: whether the size is free; else the last component is zero.
    """
    parameters = 7 if scale else 6
    forces, slopes = zip(
        *(_gradient_and_hessian(side, intersection, preconditioner) for side in sides), strict=True
    )
    force = np.sum(forces, axis=0)[:parameters]
    slope = np.sum(slopes, axis=0)[:parameters, :parameters]
    step = np.zeros(7)
    step[:parameters] = -np.linalg.lstsq(slope, force, rcond=1e-14)[0]
    return step


def _gradient_and_hessian(
    side: Correspondences, intersection: OverlapRegion, preconditioner: Preconditioner
) -> tuple[Float64Array, Float64Array]:
    """Gradient (7,) of half the weighted mean square of the distances, and how it changes (7, 7).

    A distance changes along the normal of the surface that the point lies on. The line to the
    closest point is that too on average, but leans with the roughness of the other surface, which
    makes slow directions stiff; measured over all seven, the normals halve the number of steps.
    """
    assert side.own_normals is not None
    total = side.weights.sum()
    arms = (side.on_prediction - preconditioner.centre) / preconditioner.radius
    pull = (side.on_prediction - side.on_scan) * (side.weights / total)[:, None]
    force = np.concatenate([cross(arms, pull).sum(0), pull.sum(0), [(arms * pull).sum()]])
    rows = step_jacobian(arms, side.own_normals)
    return force, (rows.T * (intersection.stiffness(side) / total)) @ rows


@dataclass(frozen=True)
class SecantUpdate:
    """How the Newton step changes along the way, learnt from the steps taken.

    What the pieces' quadratics leave out, where points change pieces and weights change with the
    pose, makes Newton steps fall short by a fixed share. Broyden's update of their slope takes
    that share out.

    Attributes:
        slope: (7, 7) derivative of the Newton step by the motion; -1 where it is exact.
        last: the Newton step (7,) of before and the step (7,) that was taken, if any.
    """

    slope: Float64Array
    last: tuple[Float64Array, Float64Array] | None = None

    @classmethod
    def identity(cls) -> SecantUpdate:
        """Newton steps as they are."""
        return cls(-np.eye(7))

    def after(self, newton: Float64Array) -> SecantUpdate:
        """The same with what the Newton step (7,) of here says about the step before it.

        A Newton step that has grown says that the way led astray, and what was learnt is forgotten.
        """
        if self.last is None:
            return self
        before, step = self.last
        if np.linalg.norm(newton) > np.linalg.norm(before):
            return SecantUpdate.identity()
        if not 0 < np.linalg.norm(step) < NEAR_MM:
            return self
        missed = newton - before - self.slope @ step
        return SecantUpdate(self.slope + np.outer(missed, step) / (step @ step))

    def step(self, newton: Float64Array) -> tuple[Float64Array, SecantUpdate]:
        """The step (7,) to where the Newton step should vanish, and the same with it remembered.

        Where what was learnt asks for more than twice the Newton step, that is taken instead.
        """
        step = np.asarray(-np.linalg.lstsq(self.slope, newton, rcond=1e-3)[0], np.float64)
        if np.linalg.norm(step) > 2 * np.linalg.norm(newton):
            step = newton
        return step, SecantUpdate(self.slope, (newton, step))


MIN_MATCHES = 50  # Fewer matched points than this do not determine seven parameters of a face.
# How far the prediction may come by its steps without its points within reach being others.
MARGIN_MM = 3.0
MAX_STEPS = 15  # On a part of the points, where each step costs little and the end is not the end.


@dataclass(frozen=True)
class Objective:
    """What is to become least: the squared distances of a prediction and a scan, by the settings.

    Attributes:
        prediction: in its own space.
        scan: in mm.
        intersection: which points count.
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
        return np.asarray(inside[along_own_curve(self.scan.vertices[inside])])

    def scan_side(self, transform: Similarity, index: IndexArray) -> Correspondences:
        """Vertices of the scan and their closest points on the moved prediction."""
        surfaces, rules = (self.scan, self.prediction), self.intersection
        return match_scan(*surfaces, transform, rules, index)

    def prediction_side(self, transform: Similarity, index: IndexArray) -> Correspondences:
        """Vertices of the moved prediction and their closest points on the cropped scan."""
        surfaces, rules = (self.prediction, self.scan), self.intersection
        return match_prediction(*surfaces, transform, rules, self.crop, index)

    def all_sides(self, transform: Similarity) -> tuple[Correspondences, Correspondences]:
        """The cropped scan's points on the moved prediction, all of the prediction's on the scan.

        Those of the prediction that are out of reach have no match. The weights tell the region of
        intersection only, without its fading.
        """
        reach = within_reach(self.prediction, transform, self.intersection, self.crop)
        sharp = replace(self, intersection=self.intersection.without_fade)
        on_scan = sharp.prediction_side(transform, reach)
        on_prediction = sharp.scan_side(transform, self.crop.vertices_of(self.scan))
        return on_prediction, on_scan.scatter(len(self.prediction.vertices), reach)


@dataclass(frozen=True)
class SubsampledObjective:
    """The same over a part of the points.

    Attributes:
        problem: the whole.
        prediction_points, scan_points: vertices that take part.
        preconditioner: the unit of a step.
    """

    problem: Objective
    prediction_points: IndexArray
    scan_points: IndexArray
    preconditioner: Preconditioner

    @classmethod
    def of(cls, problem: Objective, start: Similarity, points: float) -> SubsampledObjective:
        """The prediction's points within reach and the cropped scan's; or about so many of each.

        Args:
            problem: the whole.
            start: within a few mm of where it ends.
            points: wanted of each side, infinite for all.
        """
        rules, crop = problem.intersection, problem.crop
        own = within_reach(problem.prediction, start, rules, crop, MARGIN_MM)
        preconditioner = Preconditioner.of(problem.scan.vertices[problem.cropped])
        every = max(1, int(len(problem.cropped) / points))
        return cls(problem, subsample(own, points), problem.cropped[::every], preconditioner)

    def solve(self, transform: Similarity, tolerance: float) -> Similarity:
        """Step until nothing moves further than a tolerance in mm."""
        secant = SecantUpdate.identity()
        for _ in range(MAX_STEPS):
            sides = self.sides(transform)
            newton = self.newton(sides)
            step, secant = secant.after(newton).step(newton)
            moved = self.motion_mm(step, transform)
            transform = self.preconditioner.motion(step).after(transform)
            if moved <= tolerance:
                break
        return transform

    def sides(self, transform: Similarity) -> tuple[Correspondences, ...]:
        """The matches whose distances are minimised: of the scan's points, and of the others."""
        on_prediction = self.problem.scan_side(transform, self.scan_points)
        if self.problem.settings.direction == "scan_to_prediction":
            return (on_prediction,)
        return on_prediction, self.problem.prediction_side(transform, self.prediction_points)

    def newton(self, sides: tuple[Correspondences, ...]) -> Float64Array:
        """The step (7,) that should make the distances least.

        Raises:
            FacebenchError: when too few of the points have a counterpart.
        """
        if min(int(side.inliers.sum()) for side in sides) < MIN_MATCHES:
            raise FacebenchError(
                "prediction and scan do not overlap", "check that both are faces in millimetres"
            )
        free = self.problem.settings.scale != "none"
        return newton_step(sides, self.problem.intersection, self.preconditioner, free)

    def motion_mm(self, step: Float64Array, transform: Similarity) -> float:
        """How far a step (7,) moves a point of the prediction at most."""
        corners = transform.apply(self.problem.prediction.corners)
        moved = self.preconditioner.motion(step).apply(corners)
        return float(np.linalg.norm(moved - corners, axis=1).max())


def mean_distance(sides: tuple[Correspondences, ...]) -> float:
    """Mean distance in the region of intersection, each side with the same share."""
    return float(np.mean([side.distances[side.inliers].mean() for side in sides]))


def subsample(index: IndexArray, wanted: float) -> IndexArray:
    """At least the wanted number of a surface's vertices (N,), as evenly spread as all of them.

    Those whose number is divisible by some number: the order of the vertices is that of a curve
    that fills space, and no choice changes with a point that comes or goes elsewhere. What varies
    slowly over a surface has nearly the same mean over them as over all.
    """
    return np.asarray(index[index % max(1, int(len(index) / wanted)) == 0])
