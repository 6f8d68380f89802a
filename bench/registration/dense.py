"""Dense registration (ICP) of two surfaces by a similarity transform, to convergence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..protocol.record import AlignmentSettings
from ..surface.overlap import Correspondences
from ..surface.region import OverlapRegion, Sphere
from ..surface.similarity import Similarity
from ..surface.surface import Surface
from .objective import Objective, SecantUpdate, SubsampledObjective, mean_distance

# Points of each surface and the motion in mm that ends the steps on them, before those on all
# that the settings ask for: the minimum over a subsample is off by about that much anyway.
LEVELS = ((1000, 0.3), (6000, 0.05))
ROUGH = 1500, 0.1  # The same for the coarse alignment.
# Factor by which the last steps may resize: they begin at a size that fits.
MOST_RESIZED = 1.6
WIDER = 3.0  # Factor of the distance within which the coarse alignment looks for counterparts.


@dataclass(frozen=True)
class Alignment:
    """The prediction registered to the scan.

    Attributes:
        transform: from the prediction's space to the scan's.
        iterations: steps taken over the points that the settings ask for.
        converged: whether the last step was below the tolerance.
        overlap: share of the cropped scan's area that lies in the overlap region.
        residual_mm: root of the mean squared distance to the surface there, of both directions.
        matches: of the scan's cropped vertices and of all the prediction's, at the transform.
    """

    transform: Similarity
    iterations: int
    converged: bool
    overlap: float
    residual_mm: float
    matches: tuple[Correspondences, Correspondences] = field(repr=False)

    @classmethod
    def at(
        cls,
        transform: Similarity,
        matches: tuple[Correspondences, Correspondences],
        iterations: int = 0,
        converged: bool = True,
    ) -> Alignment:
        """The alignment at a transform, with the correspondences of both directions there."""
        square = [side.mean(side.distances**2) for side in matches if side.inliers.any()]
        residual = float(np.sqrt(np.mean(square))) if square else np.inf
        return cls(transform, iterations, converged, matches[0].inlier_share, residual, matches)


def align(
    prediction: Surface,
    scan: Surface,
    initial: Similarity,
    intersection: OverlapRegion,
    crop: Sphere,
    settings: AlignmentSettings | None = None,
) -> Alignment:
    """Newton steps over the similarity's parameters until nothing moves.

    Minimises the squared distances of the scan's points to the prediction's surface and of the
    prediction's to the scan's, each direction with half of the weight, over the overlap region.
    Both directions are needed when the region depends on the pose: with one, a free scale can
    shrink the prediction into the scan. The end is a fixed point: region and weights are those of
    the place where the step vanishes, and not of the way there.

    Args:
        prediction: in its own space.
        scan: in mm.
        initial: from the prediction's space to the scan's, as `align_coarsely` gives it.
        intersection: which correspondences are inliers.
        crop: the part of the scan that counts.
        settings: defaults to a similarity in both directions.

    Raises:
        FacebenchError: when the surfaces do not overlap.
    """
    settings = settings or AlignmentSettings()
    objective = Objective(prediction, scan, intersection, crop, settings)
    transform = initial
    # Coarse to fine: most of the way is walked where a step costs a tenth.
    for points, tolerance in LEVELS:
        if 2 * points <= settings.points:
            level = SubsampledObjective(objective, transform, points)
            transform = level.minimise(transform, tolerance)
    finest = SubsampledObjective(objective, transform, settings.points)
    transform, steps, converged = _iterate(finest, transform, settings)
    return Alignment.at(transform, objective.match_all(transform), steps, converged)


def _iterate(
    objective: SubsampledObjective, transform: Similarity, settings: AlignmentSettings
) -> tuple[Similarity, int, bool]:
    """Step until the stopping rule holds: the transform, the steps, and whether it converged."""
    secant, mean, steps, change = SecantUpdate(), np.inf, 0, np.inf
    largest, smallest = transform.scale * MOST_RESIZED, transform.scale / MOST_RESIZED
    while change > settings.tolerance_mm and steps < settings.max_iterations:
        if not smallest < transform.scale < largest:
            break  # As a rule it shrinks into the scan, until nothing of the two overlaps.
        matches = objective.match(transform)
        step = secant.step(objective.newton_step(matches))
        before, mean = mean, mean_distance(matches)
        by_motion = settings.stop == "motion"
        change = objective.motion_mm(step, transform) if by_motion else before - mean
        # The step that is small enough is taken too: it costs nothing and halves what is left.
        transform = objective.preconditioner.motion(step).after(transform)
        steps += 1
    return transform, steps, change <= settings.tolerance_mm


def align_coarsely(
    prediction: Surface,
    scan: Surface,
    initial: Similarity,
    intersection: OverlapRegion,
    settings: AlignmentSettings,
    around: Sphere | None = None,
) -> Similarity:
    """Align a rough initialisation to within a few mm, on few points in a wide overlap region.

    Args:
        prediction, scan, initial, intersection, settings: as in `align`.
        around: the part of the scan where the face is, as far as is known; None for all of it.
    """
    wide, sphere = intersection.widen(WIDER), around or Sphere.everywhere()
    objective = Objective(prediction, scan, wide, sphere, settings)
    return SubsampledObjective(objective, initial, ROUGH[0]).minimise(initial, ROUGH[1])


def agreement(
    prediction: Surface,
    scan: Surface,
    transform: Similarity,
    intersection: OverlapRegion,
    around: Sphere | None = None,
) -> float:
    """How much of the two lies on the other and faces the same way, from 0 to 1.

    The mean weight over the area of both, see `OverlapRegion.weights`.

    Args:
        prediction, scan, intersection, around: as in `align_coarsely`.
        transform: from the prediction's space to the scan's.
    """
    sphere = around or Sphere.everywhere()
    # Both directions whatever the protocol's: a small prediction would lie on any smooth spot.
    objective = Objective(prediction, scan, intersection, sphere, AlignmentSettings())
    matches = SubsampledObjective(objective, transform, ROUGH[0]).match(transform)
    return float(
        np.mean([side.weights @ side.areas / max(side.areas.sum(), 1e-9) for side in matches])
    )
