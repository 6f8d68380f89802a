"""The squared distances of two surfaces over some of their points, and the way to their least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import FacebenchError
from .alignment_settings import AlignmentSettings
from .crop import Sphere
from .intersection import Intersection, Matches, match_prediction, match_scan
from .newton import Lever, Secant, newton_step
from .similarity import Similarity
from .surface import Surface
from .triangles import Float64Array, IndexArray

MIN_MATCHES = 50
"""Fewer matched points than this do not determine seven parameters of a face."""
MAX_STEPS = 15
"""On a part of the points, where each step costs little and the end is not the end."""
MORTON_CELLS = 1023
"""Along each axis; ten bits."""


@dataclass(frozen=True)
class Minimised:
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
    intersection: Intersection
    crop: Sphere
    settings: AlignmentSettings


@dataclass(frozen=True)
class Part:
    """The same over a part of the points.

    Attributes:
        problem: the whole.
        prediction_points, scan_points: vertices that take part.
        lever: the unit of a step.
    """

    problem: Minimised
    prediction_points: IndexArray
    scan_points: IndexArray
    lever: Lever

    @classmethod
    def of(cls, problem: Minimised, points: int | None) -> Part:
        """All points of the prediction and the cropped scan, or about as many as wanted of each."""
        prediction, scan = problem.prediction, problem.scan
        own, theirs = np.arange(len(prediction.vertices)), problem.crop.vertices_of(scan)
        lever = Lever.of(scan.vertices[theirs])
        if points is not None:
            own = own[spread(prediction.local, points)]
            theirs = theirs[spread(scan.local[theirs], points)]
        return cls(problem, own, theirs, lever)

    def solve(self, transform: Similarity, tolerance: float) -> Similarity:
        """Step until nothing moves further than a tolerance in mm."""
        secant = Secant.unlearnt()
        for _ in range(MAX_STEPS):
            newton = self.newton(self.sides(transform))
            step, secant = secant.after(newton).step(newton)
            moved = self.motion_mm(step, transform)
            transform = self.lever.motion(step).after(transform)
            if moved <= tolerance:
                break
        return transform

    def sides(self, transform: Similarity) -> tuple[Matches, Matches]:
        """Scan points on the moved prediction, and moved prediction points on the scan."""
        problem, rules = self.problem, self.problem.intersection
        prediction, scan, index = problem.prediction, problem.scan, self.prediction_points
        return (
            match_scan(scan, prediction, transform, rules, self.scan_points),
            match_prediction(prediction, scan, transform, rules, problem.crop, index),
        )

    def newton(self, sides: tuple[Matches, Matches]) -> Float64Array:
        """The step (7,) that should make the distances least.

        Raises:
            FacebenchError: when too few of the points have a counterpart.
        """
        counted = self._counted(sides)
        if min(int(side.kept.sum()) for side in counted) < MIN_MATCHES:
            raise FacebenchError(
                "prediction and scan do not overlap", "check that both are faces in millimetres"
            )
        free = self.problem.settings.scale != "none"
        return newton_step(counted, self.problem.intersection, self.lever, free)

    def motion_mm(self, step: Float64Array, transform: Similarity) -> float:
        """How far a step (7,) moves a point of the prediction at most."""
        corners = transform.apply(self.problem.prediction.corners)
        moved = self.lever.motion(step).apply(corners)
        return float(np.linalg.norm(moved - corners, axis=1).max())

    def mean_distance(self, sides: tuple[Matches, Matches]) -> float:
        """Mean distance in the region of intersection, each side with the same share."""
        means = [np.average(side.distances, weights=side.kept) for side in self._counted(sides)]
        return float(np.mean(means))

    def _counted(self, sides: tuple[Matches, Matches]) -> tuple[Matches, ...]:
        """Those of the sides whose distances are minimised."""
        return sides if self.problem.settings.direction == "symmetric" else sides[:1]


def spread(points: Float64Array, wanted: int) -> IndexArray:
    """About the wanted number of the points (N, 3), as evenly spread as all of them.

    Every so many-th along a curve that fills space (Morton's order): what varies slowly over a
    surface has nearly the same mean over them as over all.
    """
    scale = MORTON_CELLS / np.ptp(points, axis=0).max()
    cells = ((points - points.min(0)) * scale).astype(np.uint64)
    x, y, z = (_every_third_bit(cells[:, axis]) for axis in range(3))
    code = x | (y << np.uint64(1)) | (z << np.uint64(2))
    return np.argsort(code, kind="stable")[:: max(1, len(points) // wanted)]


def _every_third_bit(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Ten bits of each number with two zeros between."""
    for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
        numbers = (numbers | (numbers << np.uint64(shift))) & np.uint64(mask)
    return numbers
