"""Dense alignment of two surfaces by a similarity transform, to convergence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .alignment_settings import AlignmentSettings
from .crop import Sphere
from .descent import Minimised, Part, mean_distance
from .intersection import Intersection, Matches
from .newton import Secant
from .similarity import Similarity
from .surface import Surface

__all__ = ["Alignment", "AlignmentSettings", "align", "approach"]

LEVELS = ((1000, 0.1), (6000, 0.03))
"""Points of each surface and the motion in mm that ends the steps on them: the solution on a part
of the points is off by about that much anyway."""


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
        matches: of the scan's cropped vertices and of all the prediction's, as it came to lie.
    """

    transform: Similarity
    iterations: int
    converged: bool
    last_step_mm: float
    overlap: float
    residual_mm: float
    matches: tuple[Matches, Matches] = field(repr=False)


def align(
    prediction: Surface,
    scan: Surface,
    start: Similarity,
    intersection: Intersection,
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
        start: from the prediction's space to the scan's, as `approach` gives it.
        intersection: which points count.
        crop: the part of the scan that counts.
        settings: defaults to a similarity in both directions.

    Raises:
        FacebenchError: when the surfaces do not overlap.
    """
    settings = settings or AlignmentSettings()
    minimised = Minimised(prediction, scan, intersection, crop, settings)
    transform = start
    for points, tolerance in LEVELS:
        transform = Part.of(minimised, transform, points).solve(transform, tolerance)
    end = _by_all_points(Part.of(minimised, transform, None), transform, settings)
    square = [(side.distances[side.kept] ** 2).mean() for side in end.sides]
    return Alignment(
        end.transform,
        end.steps,
        end.converged,
        end.moved_mm,
        float(end.sides[0].kept.mean()),
        float(np.sqrt(np.mean(square))),
        end.sides,
    )


def approach(
    prediction: Surface,
    scan: Surface,
    start: Similarity,
    intersection: Intersection,
    settings: AlignmentSettings,
    around: Sphere | None = None,
) -> Similarity:
    """From a rough start to within a few mm: on few points and a wide intersection.

    Args:
        prediction, scan, start, intersection, settings: as in `align`.
        around: the part of the scan where the face is, as far as is known; None for all of it.
    """
    wide, sphere = intersection.widened(3.0), around or Sphere.everywhere()
    part = Part.of(Minimised(prediction, scan, wide, sphere, settings), start, 1500)
    return part.solve(start, 0.1)


@dataclass(frozen=True)
class _End:
    transform: Similarity
    sides: tuple[Matches, Matches]
    steps: int
    moved_mm: float
    converged: bool


def _by_all_points(whole: Part, transform: Similarity, settings: AlignmentSettings) -> _End:
    """Step until the rule to stop is met: the place there, before the step that is too small."""
    secant, mean = Secant.unlearnt(), np.inf
    for steps in range(settings.max_iterations + 1):
        sides = whole.sides(transform)
        newton = whole.newton(sides)
        step, secant = secant.after(newton).step(newton)
        moved = whole.motion_mm(step, transform)
        before, mean = mean, mean_distance(sides)
        small = moved if settings.stop == "motion" else before - mean
        if small <= settings.tolerance_mm or steps == settings.max_iterations:
            break
        transform = whole.lever.motion(step).after(transform)
    converged = small <= settings.tolerance_mm
    return _End(transform, whole.completed(transform, sides), steps, moved, converged)
