"""Dense alignment of two surfaces by a similarity transform, to convergence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..protocol.record import AlignmentSettings
from ..surface.overlap import Correspondences, OverlapRegion, Sphere
from ..surface.similarity import Similarity
from ..surface.surface import Surface
from .objective import Objective, SecantUpdate, SubsampledObjective, mean_distance

__all__ = ["Alignment", "AlignmentSettings", "agreement", "align", "align_coarsely"]

# Points of each surface and the motion in mm that ends the steps on them, before those on all
# that the settings ask for: the solution on a part of the points is off by about that much
# anyway.
LEVELS = ((1000, 0.3), (6000, 0.05))
ROUGH = 1500, 0.1  # The same for the align_coarsely to a start.


@dataclass(frozen=True)
class Alignment:
    """Where the prediction came to lie.

    Attributes:
        transform: from the prediction's space to the scan's.
        iterations: steps taken over the points that the settings ask for.
        converged: whether the last step was below the tolerance.
        last_step_mm: largest motion of a point in the last step.
        overlap: share of the scan's points that lie in the region of intersection.
        residual_mm: root of the mean squared distance to the surface there, of both directions.
        matches: of the scan's cropped vertices and of all the prediction's, as it came to lie.
    """

    transform: Similarity
    iterations: int
    converged: bool
    last_step_mm: float
    overlap: float
    residual_mm: float
    matches: tuple[Correspondences, Correspondences] = field(repr=False)


def align(
    prediction: Surface,
    scan: Surface,
    start: Similarity,
    intersection: OverlapRegion,
    crop: Sphere,
    settings: AlignmentSettings | None = None,
) -> Alignment:
    """Newton steps over the similarity's parameters until nothing moves.

    Minimises the squared distances of the scan's vertices to the prediction's surface and of the
    prediction's to the scan's, each direction with half of the weight, over the region of
    intersection. Both directions are needed when the region depends on the pose: with one, a free
    scale can shrink the prediction into the scan. The end is a fixed point: region and weights are
    those of the place where the step vanishes, and not of the way there.

    Args:
        prediction: in its own space.
        scan: in mm.
        start: from the prediction's space to the scan's, as `align_coarsely` gives it.
        intersection: which points count.
        crop: the part of the scan that counts.
        settings: defaults to a similarity in both directions.

    Raises:
        FacebenchError: when the surfaces do not overlap.
    """
    settings = settings or AlignmentSettings()
    minimised = Objective(prediction, scan, intersection, crop, settings)
    transform = start
    for points, tolerance in LEVELS:
        if 2 * points <= settings.points:
            transform = SubsampledObjective.of(minimised, transform, points).solve(
                transform, tolerance
            )
    end = _converge_on(
        SubsampledObjective.of(minimised, transform, settings.points), transform, settings
    )
    sides = minimised.all_sides(end.transform)
    square = [(side.distances[side.inliers] ** 2).mean() for side in sides]
    return Alignment(
        end.transform,
        end.steps,
        end.converged,
        end.moved_mm,
        float(sides[0].inliers.mean()),
        float(np.sqrt(np.mean(square))),
        sides,
    )


def align_coarsely(
    prediction: Surface,
    scan: Surface,
    start: Similarity,
    intersection: OverlapRegion,
    settings: AlignmentSettings,
    around: Sphere | None = None,
) -> Similarity:
    """From a rough start to within a few mm: on few points and a wide intersection.

    Args:
        prediction, scan, start, intersection, settings: as in `align`.
        around: the part of the scan where the face is, as far as is known; None for all of it.
    """
    wide, sphere = intersection.widen(3.0), around or Sphere.everywhere()
    part = SubsampledObjective.of(
        Objective(prediction, scan, wide, sphere, settings), start, ROUGH[0]
    )
    return part.solve(start, ROUGH[1])


def agreement(
    prediction: Surface,
    scan: Surface,
    transform: Similarity,
    intersection: OverlapRegion,
    around: Sphere | None = None,
) -> float:
    """How much of the two lies on the other and faces the same way, from 0 to 1.

    The mean weight of points of both, see `OverlapRegion.weights`.

    Args:
        prediction, scan, intersection, around: as in `align_coarsely`.
        transform: from the prediction's space to the scan's.
    """
    sphere = around or Sphere.everywhere()
    problem = Objective(prediction, scan, intersection, sphere, AlignmentSettings())
    sides = SubsampledObjective.of(problem, transform, ROUGH[0]).sides(transform)
    return float(np.mean([side.weights.mean() for side in sides]))


@dataclass(frozen=True)
class _End:
    transform: Similarity
    steps: int
    moved_mm: float
    converged: bool


def _converge_on(
    part: SubsampledObjective, transform: Similarity, settings: AlignmentSettings
) -> _End:
    """Step until the rule to stop is met: the place after the step that is small enough."""
    secant, mean, steps, small = SecantUpdate.identity(), np.inf, 0, np.inf
    while small > settings.tolerance_mm and steps < settings.max_iterations:
        sides = part.sides(transform)
        newton = part.newton(sides)
        step, secant = secant.after(newton).step(newton)
        moved = part.motion_mm(step, transform)
        before, mean = mean, mean_distance(sides)
        small = moved if settings.stop == "motion" else before - mean
        transform, steps = part.preconditioner.motion(step).after(transform), steps + 1
    return _End(transform, steps, moved, small <= settings.tolerance_mm)
