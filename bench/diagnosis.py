"""How far the numbers of a pair can be trusted, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .measure import SOUND_OVERLAP
from .protocol import Protocol
from .score import Score, ScoredPair

USUAL_SCALES = (0.9, 1.1)
"""Outer eye corners of grown-ups differ by a standard deviation of 4 %."""
NOSE_TIPS_APART_MM = 10.0
FEW_POINTS = 2000

_MEASURES = {
    "point_to_plane": "point-to-plane distances",
    "point_to_surface": "point-to-surface distances",
    "correspondence": "distances between corresponding points",
}
_DIRECTIONS = {
    "symmetric": "in both directions",
    "scan_to_prediction": "from the scan to the prediction",
    "prediction_to_scan": "from the prediction to the scan",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was seen.

    Attributes:
        text: a sentence.
        doubtful: whether it speaks against the numbers.
    """

    text: str
    doubtful: bool = False


def diagnose(pair: ScoredPair, protocol: Protocol, notes: Mapping[str, str]) -> tuple[Finding, ...]:
    """What is to be known of a scored pair.

    Args:
        pair: as `score_prediction` gives it.
        protocol: of the score.
        notes: what was left out of a file, by its name; empty for nothing.
    """
    score = pair.score
    return (
        _meaning(protocol),
        *_alignment(score, protocol),
        *_nose_tip(score),
        *_extent(score),
        *_scale(score, protocol),
        *(Finding(f"{name}: {note}.") for name, note in notes.items() if note),
    )


def _meaning(protocol: Protocol) -> Finding:
    distance, reduction = protocol.distance, protocol.reduction
    return Finding(
        f"This number is protocol {protocol.name} ({protocol.digest[:12]}): the {reduction.points} "
        f"of {_MEASURES[distance.measure]} {_DIRECTIONS[distance.direction]}."
    )


def _alignment(score: Score, protocol: Protocol) -> Iterator[Finding]:
    if not protocol.alignment.dense:
        yield Finding("The landmarks alone decide the alignment.")
    elif score.converged:
        yield Finding(f"The alignment converged after {score.iterations} iterations.")
    else:
        yield Finding(
            f"The alignment did not converge in {score.iterations} iterations: look at the picture "
            "before using the number.",
            doubtful=True,
        )


def _nose_tip(score: Score) -> Iterator[Finding]:
    apart = score.nose_tip_disagreement_mm
    if score.nose_tip_source == "found":
        yield Finding("The nose tip, the centre of the crop, was found on the scan.")
    elif score.nose_tip_source == "label" and not math.isnan(apart):
        far = apart > NOSE_TIPS_APART_MM
        check = ": check the label" if far else ""
        yield Finding(f"The labelled nose tip is {apart:.1f} mm from the one found{check}.", far)


def _extent(score: Score) -> Iterator[Finding]:
    low = score.overlap < SOUND_OVERLAP
    seen = f"{score.overlap:.0%} of the cropped scan has a counterpart on the prediction"
    cause = ": it lies in a wrong place, or lacks parts of the face" if low else ""
    yield Finding(f"{seen}{cause}.", low)
    if score.n_points < FEW_POINTS:
        yield Finding(f"Only {score.n_points:,} points count: a coarse number.", doubtful=True)


def _scale(score: Score, protocol: Protocol) -> Iterator[Finding]:
    if protocol.alignment.scale == "none":
        yield Finding("The prediction was measured at its own size.")
        return
    low, high = USUAL_SCALES
    far = not low <= score.scale <= high
    percent = 100 * (score.scale - 1)
    word = "enlarged" if percent >= 0 else "reduced"
    cause = ": more than people differ; check its unit" if far else ""
    yield Finding(f"The prediction was {word} by {abs(percent):.1f} % to fit{cause}.", far)
