"""The squared distances of two surfaces over some of their points, and the way to their least."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...errors import FacebenchError
from ..protocol.alignment_settings import AlignmentSettings
from ..surface.crop import Sphere
from ..surface.intersection import Intersection, Matches, match_prediction, match_scan, within_reach
from ..surface.ordering import along_own_curve
from ..surface.similarity import Similarity
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, IndexArray
from .newton import Lever, Secant, newton_step

MIN_MATCHES = 50
"""Fewer matched points than this do not determine seven parameters of a face."""
MARGIN_MM = 3.0
"""How far the prediction may come by its steps without its points within reach being others."""
MAX_STEPS = 15
"""On a part of the points, where each step costs little and the end is not the end."""


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

    @cached_property
    def cropped(self) -> IndexArray:
        """The scan's vertices in the crop, along a curve that fills the space they lie in."""
        inside = self.crop.vertices_of(self.scan)
        return np.asarray(inside[along_own_curve(self.scan.vertices[inside])])

    def scan_side(self, transform: Similarity, index: IndexArray) -> Matches:
        """Vertices of the scan and their closest points on the moved prediction."""
        surfaces, rules = (self.scan, self.prediction), self.intersection
        return match_scan(*surfaces, transform, rules, index)

    def prediction_side(self, transform: Similarity, index: IndexArray) -> Matches:
        """Vertices of the moved prediction and their closest points on the cropped scan."""
        surfaces, rules = (self.prediction, self.scan), self.intersection
        return match_prediction(*surfaces, transform, rules, self.crop, index)

    def all_sides(self, transform: Similarity) -> tuple[Matches, Matches]:
        """The cropped scan's points on the moved prediction, all of the prediction's on the scan.

        Those of the prediction that are out of reach have no match. The weights tell the region of
        intersection only, without its fading.
        """
        reach = within_reach(self.prediction, transform, self.intersection, self.crop)
        sharp = replace(self, intersection=self.intersection.sharp)
        on_scan = sharp.prediction_side(transform, reach)
        on_prediction = sharp.scan_side(transform, self.crop.vertices_of(self.scan))
        return on_prediction, on_scan.among(len(self.prediction.vertices), reach)


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
    def of(cls, problem: Minimised, start: Similarity, points: float) -> Part:
        """The prediction's points within reach and the cropped scan's; or about so many of each.

        Args:
            problem: the whole.
            start: within a few mm of where it ends.
            points: wanted of each side, infinite for all.
        """
        rules, crop = problem.intersection, problem.crop
        own = within_reach(problem.prediction, start, rules, crop, MARGIN_MM)
        lever = Lever.of(problem.scan.vertices[problem.cropped])
        every = max(1, int(len(problem.cropped) / points))
        return cls(problem, thinned(own, points), problem.cropped[::every], lever)

    def solve(self, transform: Similarity, tolerance: float) -> Similarity:
        """Step until nothing moves further than a tolerance in mm."""
        secant = Secant.unlearnt()
        for _ in range(MAX_STEPS):
            sides = self.sides(transform)
            newton = self.newton(sides)
            step, secant = secant.after(newton).step(newton)
            moved = self.motion_mm(step, transform)
            transform = self.lever.motion(step).after(transform)
            if moved <= tolerance:
                break
        return transform

    def sides(self, transform: Similarity) -> tuple[Matches, ...]:
        """The matches whose distances are minimised: of the scan's points, and of the others."""
        on_prediction = self.problem.scan_side(transform, self.scan_points)
        if self.problem.settings.direction == "scan_to_prediction":
            return (on_prediction,)
        return on_prediction, self.problem.prediction_side(transform, self.prediction_points)

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


def thinned(index: IndexArray, wanted: float) -> IndexArray:
    """At least the wanted number of a surface's vertices (N,), as evenly spread as all of them.

    Those whose number is divisible by some number: the order of the vertices is that of a curve
    that fills space, and no choice changes with a point that comes or goes elsewhere. What varies
    slowly over a surface has nearly the same mean over them as over all.
    """
    return np.asarray(index[index % max(1, int(len(index) / wanted)) == 0])
