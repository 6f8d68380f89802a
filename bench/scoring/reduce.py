"""From several scores to one: frames of a clip, scans of a subject, points of all subjects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ..surface.triangles import Float64Array
from .distance import DIRECTION_WEIGHTS, Distances
from .result import Score
from .score import ScoredPair
from .statistics import UNKNOWN, Interval, bootstrap_means, percentile_interval
from .target import Decode, Prediction, Ruler, Target

LABELS = ("subject", "scene", "status", "reason", "protocol", "protocol_digest")
"""Fields of a score that are the same for all that are combined."""

Numbers = tuple[Score, Float64Array]
"""What of a scored pair can be averaged, without its meshes, so that thousands can be held: the
score, and (101,) the share of the points within each threshold of `distance.CURVE_MM`."""

PointDistances = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Errors of a scan's points and of its prediction's, mm."""


def mean_numbers(parts: Sequence[Numbers]) -> Numbers:
    """The mean of every number; NaN counts where all have it.

    What is counted (`n_points`) adds up, steps are those of the longest alignment, `converged` is
    whether all did, and words that differ stand beside each other.
    """
    rows = [asdict(score) for score, _ in parts]
    names = [name for name in rows[0] if name not in LABELS]
    values: dict[str, Any] = {n: _combine(n, [row[n] for row in rows]) for n in names}
    # Thresholds are the same for all, so curves average point by point.
    curve = np.mean([curve for _, curve in parts], axis=0)
    return replace(parts[0][0], **values), np.asarray(curve)


def _combine(name: str, values: list[str | float | int | bool]) -> str | float | int | bool:
    # Before the integers: Python's True is one, and `converged` would become a maximum.
    if isinstance(values[0], bool):
        return all(values)
    if isinstance(values[0], str):
        return ", ".join(dict.fromkeys(str(value) for value in values if value))
    if isinstance(values[0], int):
        counts = [int(value) for value in values]
        # Points add up; of the steps the longest tells whether a limit was met.
        return sum(counts) if name.startswith("n_") else max(counts)
    # NaN says 'not measured here', as the jaw of a scan that ends above it.
    known = [float(value) for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")


def score_scans(
    score: Callable[[Target], tuple[ScoredPair, str]], targets: Sequence[Target], several: bool
) -> tuple[dict[str, ScoredPair], list[str]]:
    """A subject's score on each scan that could be measured, by its name, and notes.

    Args:
        score: measures on one scan, with a note or "".
        targets: the scans.
        several: whether the protocol asks for more than one, so that a note says of which it is.

    Raises:
        FacebenchError: none could be measured.
    """
    pairs: dict[str, ScoredPair] = {}
    notes: list[str] = []
    faults: list[str] = []
    for target in targets:
        try:
            pairs[target.name], note = score(target)
            notes += [note] if note else []
        except Exception as error:
            left_out = f"{target.name} left out: " if several else ""
            faults.append(f"{left_out}{error_line(error)}")
    if not pairs:
        raise FacebenchError("; ".join(faults))
    return pairs, [*faults, *notes]


def over_scans(
    pairs: Mapping[str, ScoredPair], rule: Literal["first", "best_of_two", "each"]
) -> tuple[str, ScoredPair]:
    """One score of a subject's scans, as `protocol.Reduction.scan` says, and whose it is.

    Of a mean the picture is of the first scan, the distances are those of all.
    """
    if rule == "each":
        return ", ".join(pairs), _mean_pair(list(pairs.values()))
    # Of equal ones the first: `min` keeps the order of the scans.
    best = min(pairs, key=lambda name: pairs[name].score.value_mm)
    return best, pairs[best]


def over_frames(
    vectors: NDArray[np.float32],
    decode: Decode,
    target: Target,
    ruler: Ruler,
) -> tuple[ScoredPair, str]:
    """The mean of the errors of every frame's own mesh, and a note on frames that have none.

    The picture and the distances are those of the frame whose error is the median: a mean mesh
    would show a face that was not measured.

    Args:
        vectors: (N, D), a frame each.
        decode: makes a face of a vector.
        target, ruler: see `Target.measure`.

    Raises:
        FacebenchError: no frame could be measured.
    """
    numbers: dict[int, Numbers] = {}
    faults: list[str] = []
    for number, vector in enumerate(vectors):
        try:
            # Numbers without meshes: a clip has thousands of frames, and each mesh is megabytes.
            pair = target.measure(Prediction(decode(vector)), ruler)
            numbers[number] = (pair.score, pair.curve)
        except Exception as error:
            faults.append(error_line(error))
    if not numbers:
        raise FacebenchError(f"none of {len(vectors)} faces could be measured: {faults[0]}")
    values = [score.value_mm for score, _ in numbers.values()]
    # The median; of an even number, the lower of the middle two.
    middle = int(np.argsort(values, kind="stable")[(len(values) - 1) // 2])
    # Measured again, for its mesh was not held; it costs one frame of thousands.
    shown = target.measure(Prediction(decode(vectors[list(numbers)[middle]])), ruler)
    score, curve = mean_numbers(list(numbers.values()))
    lost = f"{len(faults)} of {len(vectors)} faces could not be measured"
    return replace(shown, score=score, curve=curve), f"{lost}: {faults[0]}" if faults else ""


def _mean_pair(pairs: Sequence[ScoredPair]) -> ScoredPair:
    score, curve = mean_numbers([(pair.score, pair.curve) for pair in pairs])
    of_scans, of_predictions = zip(*(pair.distances for pair in pairs), strict=True)
    distances = np.concatenate(of_scans), np.concatenate(of_predictions)
    return replace(pairs[0], score=score, curve=curve, distances=distances)


def pool_subjects(
    subjects: Sequence[PointDistances], direction: str, seed: int
) -> tuple[Distances, Interval]:
    """The points of all subjects, each with as many as it has, and the interval of their mean.

    A symmetric protocol pools each direction by itself and gives both half of the weight. The
    interval is a bootstrap over subjects: points of one are not independent.

    Args:
        subjects: at least one.
        direction: a name in `distance.DIRECTION_WEIGHTS`.
        seed: of the bootstrap.
    """
    # By direction, then over subjects: the denser of the two meshes must not outweigh the other.
    weighted = zip(zip(*subjects, strict=True), DIRECTION_WEIGHTS[direction], strict=True)
    sides = [([np.asarray(part, np.float64) for part in side], w) for side, w in weighted if w]
    points = Distances([np.concatenate(side) for side, _ in sides], [w for _, w in sides])
    means = sum(weight * _resample(side, seed) for side, weight in sides)
    # One subject resampled is always itself: its interval would be a point, and a lie.
    return points, percentile_interval(np.asarray(means)) if len(subjects) > 1 else UNKNOWN


def _resample(side: Sequence[Float64Array], seed: int) -> Float64Array:
    """Means over the points of resampled subjects; one seed draws the same for both directions."""
    means, counts = [part.mean() for part in side], [len(part) for part in side]
    return bootstrap_means(means, seed, weights=counts)
