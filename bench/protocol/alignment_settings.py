"""How a prediction is laid on a scan, as a protocol states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
        points: of each surface whose distances are minimised, evenly spread vertices, at least so
            many (fewer than twice as many); `inf` for all. Errors are those of all points.
        stop: `motion`, when no point of the prediction moves further than the tolerance in one
            step; `mean_change`, when the mean distance falls by less than the tolerance.
        tolerance_mm: see `stop`.
        max_iterations: steps by these points, until it is said not to have converged.
    """

    start: Literal["landmarks_or_search", "seven_landmarks"] = "landmarks_or_search"
    dense: bool = True
    scale: Literal["per_mesh", "global", "none"] = "per_mesh"
    direction: Literal["symmetric", "scan_to_prediction"] = "symmetric"
    points: float = 4000.0
    stop: Literal["motion", "mean_change"] = "motion"
    tolerance_mm: float = 1e-2
    max_iterations: int = 200
