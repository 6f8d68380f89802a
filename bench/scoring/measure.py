"""`measure(item, prediction, protocol)`: every item has a result, every failure its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import error_line
from ...recon.files.mirror import fetch
from ...recon.mesh import Mesh
from ..dataset.interface import Item
from ..meshes.clean import DecimatedMesh, decimate
from ..protocol.record import Protocol
from .diagnosis import warnings
from .reduce import over_frames, over_scans, score_scans
from .result import NAN, Result, Score
from .score import ScoredPair, failed_score
from .target import Prediction, Ruler, Target, parts_of, read_targets

_NOTHING = np.empty(0)

Job = Sequence[tuple[Item, Prediction]]
"""Items of one subject, which share their scans, with what a method made of each."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The result of an item and the arrays beside it, which pictures need.

    Attributes:
        result: the numbers, or why there are none.
        aligned: the prediction in the scan's space, mm, or None when it failed.
        vertex_errors: (V,) mm, NaN outside of the overlap region.
        distances: of the scan's points and of the prediction's, mm.
        scan: the measured part of the scan with the error at its vertices, thinned for pictures,
            or None when the prediction failed.
    """

    result: Result
    aligned: Mesh | None = None
    vertex_errors: NDArray[np.float64] = field(default_factory=lambda: _NOTHING)
    distances: tuple[NDArray[np.float64], NDArray[np.float64]] = (_NOTHING, _NOTHING)
    scan: DecimatedMesh | None = None


def measure(item: Item, prediction: Prediction, ruler: Ruler | Protocol) -> Measured:
    """Measure one item; never raises for what its files hold.

    Args:
        item: with the scans.
        prediction: of it.
        ruler: or the protocol alone, for scans in mm.
    """
    how = Ruler(ruler) if isinstance(ruler, Protocol) else ruler
    return measure_job([(item, prediction)], how)[0]


def measure_job(job: Job, ruler: Ruler) -> list[Measured]:
    """Measure the items of one subject: its scans are read once, one face is measured once.

    Never raises for what the files hold. Where one of the items has no number, all of them say
    what the mean face would have had.
    """
    scans = job[0][0].scans
    if not scans:
        return [failed(*one, one[0].scan_reason or "no scan of it", ruler) for one in job]
    try:
        # Of an object store: on this machine they may be missing, or be those of yesterday.
        for path in dict.fromkeys(path for item, _ in job for _, path in item.scan_files):
            fetch(path)
        # Once for the whole job: a scan is tens of megabytes of text.
        targets, faults = read_targets(scans, ruler.unit, ruler.protocol.reduction.scan != "first")
    except Exception as error:
        return failed_job(job, error_line(error), ruler)
    notes = (*faults, *(target.note for target in targets))
    measured = [_measure(*one, targets, notes, ruler) for one in job]
    # The mean face costs a registration too, so it is measured only where something failed.
    if all(one.aligned is not None for one in measured):
        return measured
    mean_face_mm = _mean_face_error(targets, ruler)
    return [replace(m, result=replace(m.result, mean_face_mm=mean_face_mm)) for m in measured]


def failed_job(job: Job, reason: str, ruler: Ruler) -> list[Measured]:
    """What is left of a job of which nothing could be measured."""
    return [failed(*one, reason, ruler) for one in job]


def failed(item: Item, prediction: Prediction, reason: str, ruler: Ruler) -> Measured:
    """An item without a number."""
    score = failed_score(item.subject, item.scene, reason, ruler.protocol)
    return Measured(_result(score, item, prediction, ruler))


def _measure(
    item: Item,
    prediction: Prediction,
    targets: Sequence[Target],
    notes: Sequence[str],
    ruler: Ruler,
) -> Measured:
    if prediction.mesh is None:
        return failed(item, prediction, prediction.reason, ruler)
    try:
        # A method's own parts are exact; those carried over by landmarks are not.
        how = ruler if ruler.parts else replace(ruler, parts=parts_of(prediction))
        pairs, left_out = _score_scans(prediction, targets, how)
        scan, pair = over_scans(pairs, ruler.protocol.reduction.scan)
    except Exception as error:
        return failed(item, prediction, error_line(error), ruler)
    # Remembered pairs are shared between scenes, so whose it is is said here.
    score = replace(pair.score, subject=item.subject, scene=item.scene)
    doubts = warnings(score, ruler.protocol, prediction.unit_known)
    result = replace(
        _result(score, item, prediction, ruler),
        note="; ".join(filter(None, (prediction.reason, *notes, *left_out, doubts))),
        scan=scan,
        scans=tuple(pairs),
        scan_values_mm=tuple(one.score.value_mm for one in pairs.values()),
        curve=tuple(pair.curve.tolist()),
    )
    # For pictures only; the distances of every point are kept beside it.
    shown = decimate(pair.scan, pair.scan_errors)
    return Measured(result, pair.aligned, pair.vertex_errors, pair.distances, shown)


def _score_scans(
    prediction: Prediction, targets: Sequence[Target], ruler: Ruler
) -> tuple[dict[str, ScoredPair], list[str]]:
    """A prediction's score on each scan, over its frames where each has its own; and notes."""
    vectors, decode = prediction.vectors, ruler.decode

    def score(target: Target) -> tuple[ScoredPair, str]:
        if vectors is None or decode is None:
            return target.score(prediction, ruler), ""
        return over_frames(vectors, decode, target, ruler)

    return score_scans(score, targets, ruler.protocol.reduction.scan != "first")


def _result(score: Score, item: Item, prediction: Prediction, ruler: Ruler) -> Result:
    return Result.of(
        score,
        item=item.id,
        frames=prediction.frames,
        faces=prediction.faces,
        fixed_scale=NAN if ruler.fixed_scale is None else ruler.fixed_scale,
    )


def _mean_face_error(targets: Sequence[Target], ruler: Ruler) -> float:
    """Error of the mean face at its best size: a factor found for a method says nothing of it."""
    if ruler.mean_face is None:
        return NAN
    # Without parts and decoder: those are of the method's topology, not of the mean face's.
    face, plain = Prediction(ruler.mean_face), Ruler(ruler.protocol)
    try:
        pairs, _ = score_scans(lambda target: (target.score(face, plain), ""), targets, True)
        _, pair = over_scans(pairs, ruler.protocol.reduction.scan)
    except Exception:  # the prediction's own number counts without it
        return NAN
    # It stands in for a number in a mean over points, or in one over the protocol's statistic.
    pooled = ruler.protocol.reduction.subjects == "pooled"
    return pair.score.mean_mm if pooled else pair.score.value_mm
