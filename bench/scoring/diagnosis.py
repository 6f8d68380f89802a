"""How far the numbers of a pair can be trusted, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..protocol.record import Protocol
from ..registration.nose_tip import SPREAD_MM
from .result import Score

SOUND_OVERLAP = 0.9
"""A face registered to the wrong place of a scan covers less of the crop, 0.88 where it was seen to
cover most of it; a right one 0.94 and more."""
USUAL_SCALES = (0.9, 1.1)
"""Outer eye corners of grown-ups differ by a standard deviation of 4 %."""
NOSE_TIPS_APART_MM = 10.0
LANDMARKS_APART_MM = 8.0
"""Root mean square; those of two persons, aligned, come to 1 to 4."""
FEW_POINTS = 1000
NOTED_INNER = 0.02  # Nostrils and the line of the lips come to less.
COMPLETE = 0.9  # Of the cropped scan: whole faces of other models came to 0.94 and more.
SIZES_APART = 0.1
ASKEW_DEG = 60.0
"""Mean angle between normals of closest points: of faces 5 to 30, of surfaces at random 90."""
_SAME_SIZE = 5e-4  # A change that would be printed as 0.0 %.

_MEASURES = {
    "point_to_plane": "point-to-plane distances",
    "point_to_surface": "point-to-surface distances",
    "correspondence": "distances between corresponding points",
    "regions": "distances between corresponding points, region by region,",
}
_DIRECTIONS = {
    "symmetric": "in both directions",
    "scan_to_prediction": "from the scan to the prediction",
    "prediction_to_scan": "from the prediction to the scan",
}


@dataclass(frozen=True)
class Remark:
    """One sentence on the numbers.

    Attributes:
        text: a sentence.
        doubtful: whether it speaks against the numbers.
    """

    text: str
    doubtful: bool = False


def diagnose(score: Score, protocol: Protocol, unit_known: bool = True) -> tuple[Remark, ...]:
    """What is to be known of a score.

    Args:
        score: of a pair.
        protocol: of the score.
        unit_known: whether the prediction came in a unit, so that its scale tells of its size.
    """
    return (
        _meaning(protocol),
        *_start(score),
        *_alignment(score, protocol),
        *_centre(score),
        *_extent(score),
        *_normals(score),
        *_inner(score),
        *_landmark_scale(score, protocol),
        *_scale(score, protocol, unit_known),
    )


def warnings(score: Score, protocol: Protocol, unit_known: bool = True) -> str:
    """The warnings of `diagnose` about a score, separated by semicolons; empty for none."""
    remarks = diagnose(score, protocol, unit_known)
    return "; ".join(remark.text.rstrip(".") for remark in remarks if remark.doubtful)


def _meaning(protocol: Protocol) -> Remark:
    distance, reduction = protocol.distance, protocol.reduction
    return Remark(
        f"This number is {protocol.label}: the {reduction.points} of "
        f"{_MEASURES[distance.measure]} {_DIRECTIONS[distance.direction]}."
    )


def _start(score: Score) -> Iterator[Remark]:
    if score.start == "search":
        yield Remark("The prediction was registered to the scan by a search over all poses.")
        return
    if score.start == "given":
        yield Remark("The prediction was measured where it lay.")
        return
    far = score.landmark_residual_mm > LANDMARKS_APART_MM
    # A dense step that left their size moved them apart: the files are right.
    far = far and not abs(score.scale / score.landmark_scale - 1) > SIZES_APART
    check = ": check the landmark files, or the place it was laid on" if far else ""
    yield Remark(
        "The prediction was registered to the scan by the landmarks of both; aligned, they are "
        f"{score.landmark_residual_mm:.1f} mm apart{check}.",
        far,
    )


def _alignment(score: Score, protocol: Protocol) -> Iterator[Remark]:
    if score.start == "given":
        return
    if not protocol.alignment.dense:
        yield Remark("The landmarks alone decide the alignment.")
    elif score.converged:
        steps = f" after {_steps(score)}" if score.iterations else ""
        yield Remark(f"The alignment converged{steps}.")
    else:
        yield Remark(
            f"The alignment did not converge in {_steps(score)}: look at the picture before using "
            "the number.",
            doubtful=True,
        )


def _steps(score: Score) -> str:
    return f"{score.iterations} step{'s' * (score.iterations != 1)}"


def _centre(score: Score) -> Iterator[Remark]:
    apart = score.nose_tip_disagreement_mm
    if score.nose_tip_source == "found":
        spread = score.nose_tip_spread_mm
        far = spread > SPREAD_MM
        warning = f", uncertain by {spread:.0f} mm: give the scan's 68 landmarks" if far else ""
        yield Remark(f"The nose tip, the centre of the crop, was found on the scan{warning}.", far)
    elif score.nose_tip_source == "seven_landmarks":
        yield Remark("The centre of the crop and its radius come from the scan's landmarks.")
    elif score.nose_tip_source == "label" and not math.isnan(apart):
        far = apart > NOSE_TIPS_APART_MM
        # It is sought where the prediction was laid, so a torn one leads astray with a true label.
        check = ": check the label, and that the prediction is a whole face" if far else ""
        yield Remark(f"The labelled nose tip is {apart:.1f} mm from the one found{check}.", far)


def _extent(score: Score) -> Iterator[Remark]:
    low, part = score.overlap < SOUND_OVERLAP, score.completeness < COMPLETE
    if part:
        # `now` takes every point of the scan, also those beyond a prediction's boundary.
        missing = "has no error" if low else "counts by its distance to what is there"
        # The share behind a colon, so that a report has one row for all subjects.
        yield Remark(
            "The prediction lacks parts of the face, or lies in a wrong place, or the scan has an "
            f"inner wall. What is missing {missing}, so compare it only with predictions that show "
            f"as much: {score.completeness:.0%} of the cropped scan.",
            doubtful=True,
        )
    # One fact once: under most protocols the two shares are the same, and `now` takes every point.
    if not part:
        share = min(score.overlap, score.completeness)
        seen = f"{share:.0%} of the cropped scan has a counterpart on the prediction"
        cause = ": it lies in a wrong place, or lacks parts of the face" if low else ""
        yield Remark(f"{seen}{cause}.", low)
    if score.n_points < FEW_POINTS:
        yield Remark(f"Only {score.n_points:,} points count: a coarse number.", doubtful=True)


def _normals(score: Score) -> Iterator[Remark]:
    """A torn face fills the space around the scan, and its distances are next to nothing."""
    if score.normal_error_deg > ASKEW_DEG:
        yield Remark(
            f"The normals of both surfaces differ by {score.normal_error_deg:.0f} degrees: the "
            "prediction is torn, or its triangles are turned at random.",
            doubtful=True,
        )


def _inner(score: Score) -> Iterator[Remark]:
    if score.inner_share > NOTED_INNER:
        yield Remark(
            f"{score.inner_share:.0%} of the prediction's surface near the face is not seen from "
            "outside (eyeballs, the inside of the mouth, inner walls) and was left out."
        )


def _landmark_scale(score: Score, protocol: Protocol) -> Iterator[Remark]:
    """Whether the dense step left the size of the landmarks: then it fitted no face."""
    ratio = score.scale / score.landmark_scale
    if protocol.alignment.scale == "per_mesh" and abs(ratio - 1) > SIZES_APART:
        yield Remark(
            f"The dense alignment makes the prediction {abs(ratio - 1):.0%} "
            f"{'larger' if ratio > 1 else 'smaller'} than by its landmarks: such a number says "
            "nothing about the face.",
            doubtful=True,
        )


def _scale(score: Score, protocol: Protocol, unit_known: bool) -> Iterator[Remark]:
    if protocol.alignment.scale == "none":
        yield Remark(f"The prediction was measured at its own size{_size(score.size_error)}.")
        return
    if not unit_known:
        yield Remark(f"One unit of the prediction's file is {score.scale:.4g} mm on the scan.")
        return
    if abs(score.scale - 1) < _SAME_SIZE:
        yield Remark("The prediction fits the scan at its own size.")
        return
    low, high = USUAL_SCALES
    far = not low <= score.scale <= high
    cause = ": more than people differ; check its unit" if far else ""
    yield Remark(f"The prediction was {_resized(score.scale - 1)} to fit{cause}.", far)


def _size(error: float) -> str:
    if math.isnan(error):
        return ""
    same = abs(error) < _SAME_SIZE
    return ", at which it fits best" if same else f"; {_resized(error)} it would fit best"


def _resized(by: float) -> str:
    return f"{'enlarged' if by >= 0 else 'reduced'} by {abs(by):.1%}".replace("%", " %")
