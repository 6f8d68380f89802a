"""One pair of a set: measured, or a row with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ..protocol.record import Protocol
from ..scoring.evaluate import evaluate
from ..scoring.score import failed_score
from .sets import Pair


@dataclass(frozen=True)
class PairRuler:
    """How every pair of a set is measured.

    Attributes:
        protocol: decides every step.
        prediction_unit, scan_unit: see `scoring.evaluate.evaluate`.
    """

    protocol: Protocol
    prediction_unit: str | None = None
    scan_unit: str | None = None


@dataclass(frozen=True, eq=False)
class MeasuredPair:
    """What is kept of a pair.

    Attributes:
        row: `Score.to_row()`, `name` and `group` in the place of `subject` and `scene`, with
            `note`, `fingerprint` of the files and `curve` (101,), None without a score.
        distances: of the scan's points and of the prediction's, mm; empty without a score.
    """

    row: dict[str, Any]
    distances: tuple[NDArray[np.floating], NDArray[np.floating]] = field(
        default_factory=lambda: (np.empty(0), np.empty(0))
    )


def measure_pair(pair: Pair, ruler: PairRuler) -> MeasuredPair:
    """Measure a pair; never raises for what its files hold."""
    if pair.reason:
        return failed_pair(pair, ruler, pair.reason)
    try:
        return _measured(pair, ruler)
    except FacebenchError as error:
        return failed_pair(pair, ruler, str(error))
    except Exception as error:
        return failed_pair(pair, ruler, error_line(error))


def failed_pair(pair: Pair, ruler: PairRuler, reason: str) -> MeasuredPair:
    """The row of a pair that has no number."""
    row = failed_score(pair.name, pair.group, reason, ruler.protocol).to_row()
    return MeasuredPair(_named(row) | {"note": "", "fingerprint": pair.fingerprint, "curve": None})


def _measured(pair: Pair, ruler: PairRuler) -> MeasuredPair:
    if pair.prediction is None or pair.scan is None:
        raise FacebenchError("a file of it is missing")
    fingerprint = pair.fingerprint
    result = evaluate(
        pair.prediction,
        pair.scan,
        ruler.protocol,
        prediction_landmarks=pair.prediction_landmarks,
        scan_landmarks=pair.scan_landmarks,
        prediction_unit=ruler.prediction_unit,
        scan_unit=ruler.scan_unit,
    )
    row = {**result.score.to_row(), "subject": pair.name, "scene": pair.group}
    note = " ".join(finding.text for finding in result.diagnosis if finding.doubtful)
    kept = {"note": note, "fingerprint": fingerprint, "curve": result.pair.curve.tolist()}
    return MeasuredPair(_named(row) | kept, result.pair.distances)


def _named(row: dict[str, Any]) -> dict[str, Any]:
    values = dict(row)
    return {"name": values.pop("subject"), "group": values.pop("scene"), **values}
