"""The frames of a clip and the scans of a subject: from several scores to the subject's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ...recon.mesh.record import Mesh
from .combine import Numbers, mean_numbers, median_index, with_numbers
from .score import ScoredPair
from .target import Face, Ruler, Target

Decode = Callable[[NDArray[np.float32]], Mesh]
"""The face in mm of one frame's vector (D,)."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """A subject's score in a scene, and where it comes from.

    Attributes:
        pair: the numbers, with a picture of one of the pairs behind them.
        scan: name of the scan whose number it is; of several, their names.
        scans: every scan that was measured.
        values_mm: the number on each of them.
        notes: what was left out on the way, one reason each.
    """

    pair: ScoredPair
    scan: str
    scans: tuple[str, ...]
    values_mm: tuple[float, ...]
    notes: tuple[str, ...]


def over_scans(
    score: Callable[[Target], tuple[ScoredPair, str]],
    targets: Sequence[Target],
    rule: Literal["first", "best_of_two", "each"],
) -> Reduced:
    """One score of a subject's scans, as the protocol's `reduction.scan` says.

    A scan that cannot be measured is left out with a note. The picture of a mean is of the first
    scan, the distances are those of all.

    Args:
        score: measures on one scan, with a note or "".
        targets: the scans; of `first`, one.
        rule: see `protocol.Reduction`.

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
            faults.append(error_line(error) if rule == "first" else _fault(target, error))
    if not pairs:
        raise FacebenchError("; ".join(faults))
    values = {name: pair.score.value_mm for name, pair in pairs.items()}
    best = min(values, key=lambda name: values[name])
    whole = rule == "each"
    return Reduced(
        pair=_mean_pair(list(pairs.values())) if whole else pairs[best],
        scan=", ".join(pairs) if whole else best,
        scans=tuple(values),
        values_mm=tuple(values.values()),
        notes=(*faults, *notes),
    )


def over_frames(
    vectors: NDArray[np.float32],
    decode: Decode,
    target: Target,
    ruler: Ruler,
    parts: Mapping[str, NDArray[np.bool_]],
) -> tuple[ScoredPair, str]:
    """The mean of the errors of every frame's own mesh, and a note on frames that have none.

    The picture and the distances are those of the frame whose error is the median: a mean mesh
    would show a face that was not measured.

    Args:
        vectors: (N, D), a frame each.
        decode: makes a face of a vector.
        target, ruler, parts: see `Target.measure`.

    Raises:
        FacebenchError: no frame could be measured.
    """
    numbers: dict[int, Numbers] = {}
    faults: list[str] = []
    for number, vector in enumerate(vectors):
        try:
            numbers[number] = Numbers.of(target.measure(Face(decode(vector)), ruler, parts))
        except Exception as error:
            faults.append(error_line(error))
    if not numbers:
        raise FacebenchError(f"none of {len(vectors)} faces could be measured: {faults[0]}")
    middle = median_index([part.score.value_mm for part in numbers.values()])
    shown = target.measure(Face(decode(vectors[list(numbers)[middle]])), ruler, parts)
    return with_numbers(shown, mean_numbers(list(numbers.values()))), _lost(faults, len(vectors))


def _mean_pair(pairs: Sequence[ScoredPair]) -> ScoredPair:
    mean = with_numbers(pairs[0], mean_numbers([Numbers.of(pair) for pair in pairs]))
    of_scans, of_predictions = zip(*(pair.distances for pair in pairs), strict=True)
    return replace(mean, distances=(np.concatenate(of_scans), np.concatenate(of_predictions)))


def _lost(faults: Sequence[str], n_faces: int) -> str:
    said = f"{len(faults)} of {n_faces} faces could not be measured"
    return f"{said}: {faults[0]}" if faults else ""


def _fault(target: Target, error: Exception) -> str:
    return f"{target.name} left out: {error_line(error)}"
