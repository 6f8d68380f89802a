"""The squared distances of two surfaces over some of their points, and the way to their least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import FacebenchError
from .alignment_settings import AlignmentSettings
from .crop import Sphere
from .intersection import (
    Intersection,
    Matches,
    match_prediction,
    match_scan,
    within_reach,
)
from .newton import Lever, Secant, newton_step
from .similarity import Similarity
from .surface import Surface
from .triangles import Float64Array, IndexArray

MIN_MATCHES = 50
"""Fewer matched points than this do not determine seven parameters of a face."""
MARGIN_MM = 3.0
"""How far the prediction may come by its steps without its points within reach being others."""
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
    def of(cls, problem: Minimised, start: Similarity, points: int | None) -> Part:
        """The prediction's points within reach and the cropped scan's; or about so many of each.

        Args:
            problem: the whole.
            start: within a few mm of where it ends. The choice is made in the prediction's own
                frame: what lies outside of the crop has no part in it.
            points: wanted, or None for all.
        """
        prediction, scan, rules = problem.prediction, problem.scan, problem.intersection
        own = within_reach(prediction, start, rules, problem.crop, MARGIN_MM)
        theirs = problem.crop.vertices_of(scan)
        lever = Lever.of(scan.vertices[theirs])
        if points is not None:
            seen = prediction.frame.apply(start.inverse().apply(scan.vertices[theirs]))
            own = own[spread(prediction.local[own], points)]
            theirs = theirs[spread(seen, points)]
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

    def sides(self, transform: Similarity) -> tuple[Matches, ...]:
        """The matches whose distances are minimised: of the scan's points, and of the others."""
        problem = self.problem
        surfaces, rules = (problem.scan, problem.prediction), problem.intersection
        on_prediction = match_scan(*surfaces, transform, rules, self.scan_points)
        if problem.settings.direction == "scan_to_prediction":
            return (on_prediction,)
        return on_prediction, self._on_scan(transform, self.prediction_points)

    def completed(
        self, transform: Similarity, sides: tuple[Matches, ...]
    ) -> tuple[Matches, Matches]:
        """The scan's points on the moved prediction, and all of its vertices on the scan.

        Args:
            transform: where the prediction lies.
            sides: what `sides` gave there.
        """
        problem = self.problem
        prediction, rules = problem.prediction, problem.intersection
        index = within_reach(prediction, transform, rules, problem.crop)
        if len(sides) == 2 and np.isin(index, self.prediction_points, assume_unique=True).all():
            index, on_scan = self.prediction_points, sides[1]
        else:
            on_scan = self._on_scan(transform, index)
        return sides[0], on_scan.among(len(prediction.vertices), index)

    def _on_scan(self, transform: Similarity, index: IndexArray) -> Matches:
        problem = self.problem
        surfaces, rules = (problem.prediction, problem.scan), problem.intersection
        return match_prediction(*surfaces, transform, rules, problem.crop, index)

    def newton(self, sides: tuple[Matches, ...]) -> Float64Array:
        """The step (7,) that should make the distances least.

        Raises:
            FacebenchError: when too few of the points have a counterpart.
        """
        if min(int(side.kept.sum()) for side in sides) < MIN_MATCHES:
            raise FacebenchError(
                "prediction and scan do not overlap", "check that both are faces in millimetres"
            )
        free = self.problem.settings.scale != "none"
        return newton_step(sides, self.problem.intersection, self.lever, free)

    def motion_mm(self, step: Float64Array, transform: Similarity) -> float:
        """How far a step (7,) moves a point of the prediction at most."""
        corners = transform.apply(self.problem.prediction.corners)
        moved = self.lever.motion(step).apply(corners)
        return float(np.linalg.norm(moved - corners, axis=1).max())


def mean_distance(sides: tuple[Matches, ...]) -> float:
    """Mean distance in the region of intersection, each side with the same share."""
    return float(np.mean([side.distances[side.kept].mean() for side in sides]))


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
