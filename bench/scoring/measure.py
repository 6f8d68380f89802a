"""One subject: its scans read once, its predictions measured, every failure a row with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import error_line
from ...recon.mesh.record import Mesh
from ..dataset.interface import Scan
from ..meshes.decimate import DecimatedMesh, decimate
from ..protocol.record import Protocol
from ..registration.nose_tip import SPREAD_MM
from .reduce import Decode, Reduced, over_frames, over_scans
from .score import Score, ScoredPair, failed_score
from .target import Face, Ruler, Target, read_targets

if TYPE_CHECKING:
    from ..landmarks.points import Landmarks

SOUND_OVERLAP = 0.9
"""A face laid on the wrong place of a scan covers less of the crop, 0.88 where it was seen to cover
most of it; a right one 0.94 and more."""

NAN = float("nan")
NO_DISTANCES = np.empty(0)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method made of one clip.

    Attributes:
        scene: of the clip.
        mesh: the subject's face in mm, or None where there is none.
        reason: why there is none; with a mesh, what was wrong with parts of the clip.
        frames, faces: read and described; 0 for a mesh that comes as a file.
        landmarks: given beside the mesh, or None for the mesh's own.
        vectors: (N, D) of each face, where the protocol averages errors; else None.
    """

    scene: str
    mesh: Mesh | None
    reason: str
    frames: int
    faces: int
    landmarks: Landmarks | None = None
    vectors: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class SubjectJob:
    """What is to be measured of one subject.

    Attributes:
        subject: whose.
        scans: to measure against, the one to be preferred first.
        reason: why there is none.
        predictions: one a scene.
    """

    subject: str
    scans: tuple[Scan, ...]
    reason: str
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, eq=False)
class Measuring:
    """How subjects are measured, the same for all.

    Attributes:
        protocol: decides every step.
        unit: of the scans' files: mm, cm or m.
        mean_face: stands in for predictions that failed.
        parts: vertices (V,) of the predictions in each part of the face.
        decode: makes faces of a prediction's vectors, where it has any.
        fixed_scale: the factor given to every prediction, where one is the same for all.
    """

    protocol: Protocol
    unit: str
    mean_face: Mesh
    parts: Mapping[str, NDArray[np.bool_]]
    decode: Decode | None = None
    fixed_scale: float | None = None


@dataclass(frozen=True, eq=False)
class Measured:
    """One row of the subjects' table and what a picture of it needs.

    Attributes:
        row: `Score.to_row()` with `frames`, `faces`, `note`, `scan`, `scans`, `scan_values_mm`,
            `curve`, `mean_face_mm`, `fixed_scale` (NaN where each mesh has its own).
        aligned: the prediction in the scan's space, mm, or None when it failed.
        vertex_errors: (V,) mm, NaN outside of the region of intersection.
        distances: of the scan's points and of the prediction's, mm.
        scan: the measured part of the scan with the error at its vertices, thinned for pictures,
            or None when the prediction failed.
    """

    row: dict[str, Any]
    aligned: Mesh | None
    vertex_errors: NDArray[np.float64]
    distances: tuple[NDArray[np.float64], NDArray[np.float64]]
    scan: DecimatedMesh | None = None


def measure_subject(job: SubjectJob, how: Measuring) -> list[Measured]:
    """Measure every prediction of a subject; never raises for what the files hold."""
    several = how.protocol.reduction.scan != "first"
    try:
        if not job.scans:
            return failed_subject(job, job.reason, how)
        targets, faults = read_targets(job.scans, how.unit, several)
    except Exception as error:
        return failed_subject(job, error_line(error), how)
    notes = (*faults, *(target.note for target in targets))
    measured = [_measure(job, prediction, targets, notes, how) for prediction in job.predictions]
    if all(item.aligned is not None for item in measured):
        return measured
    mean_face_mm = _mean_face_error(targets, how)
    return [_with_mean_face(item, mean_face_mm) for item in measured]


def doubt(score: Score) -> str:
    """What speaks against an alignment or a nose tip that was found; empty for sound ones."""
    if score.overlap < SOUND_OVERLAP:
        return f"only {score.overlap:.0%} of the cropped scan has a counterpart: see its picture"
    if score.nose_tip_spread_mm > SPREAD_MM:
        return f"the nose tip is uncertain by {score.nose_tip_spread_mm:.0f} mm: label it"
    return "" if score.converged else "the alignment did not converge"


def failed_subject(job: SubjectJob, reason: str, how: Measuring) -> list[Measured]:
    """Rows that say why nothing of a subject could be measured."""
    return [_failed(job, prediction, reason, how) for prediction in job.predictions]


def _measure(
    job: SubjectJob,
    prediction: Prediction,
    targets: list[Target],
    notes: tuple[str, ...],
    how: Measuring,
) -> Measured:
    if prediction.mesh is None:
        return _failed(job, prediction, prediction.reason, how)
    face = Face(prediction.mesh, prediction.landmarks)
    try:
        found = _reduce(face, prediction.vectors, targets, how)
    except Exception as error:
        return _failed(job, prediction, error_line(error), how)
    pair, score = found.pair, replace(found.pair.score, subject=job.subject, scene=prediction.scene)
    said = (prediction.reason, *notes, *found.notes, doubt(score))
    row = {
        **score.to_row(),
        **_facts(prediction, how),
        "note": "; ".join(filter(None, said)),
        "scan": found.scan,
        "scans": list(found.scans),
        "scan_values_mm": list(found.values_mm),
        "curve": pair.curve.tolist(),
    }
    scan = decimate(pair.scan, pair.scan_errors)
    return Measured(row, pair.aligned, pair.vertex_errors, pair.distances, scan)


def _reduce(
    face: Face, vectors: NDArray[np.float32] | None, targets: list[Target], how: Measuring
) -> Reduced:
    """A prediction's score over its frames, where each has its own, and over the scans."""
    ruler, decode = Ruler(how.protocol, how.fixed_scale), how.decode

    def score(target: Target) -> tuple[ScoredPair, str]:
        if vectors is None or decode is None:
            return target.score(face, ruler, how.parts), ""
        return over_frames(vectors, decode, target, ruler, how.parts)

    return over_scans(score, targets, how.protocol.reduction.scan)


def _failed(job: SubjectJob, prediction: Prediction, reason: str, how: Measuring) -> Measured:
    score = failed_score(job.subject, prediction.scene, reason, how.protocol)
    nothing = {"note": "", "scan": "", "scans": None, "scan_values_mm": None, "curve": None}
    row = {**score.to_row(), **_facts(prediction, how), **nothing}
    return Measured(row, None, NO_DISTANCES, (NO_DISTANCES, NO_DISTANCES))


def _facts(prediction: Prediction, how: Measuring) -> dict[str, Any]:
    return {
        "frames": prediction.frames,
        "faces": prediction.faces,
        "mean_face_mm": NAN,
        "fixed_scale": NAN if how.fixed_scale is None else how.fixed_scale,
    }


def _mean_face_error(targets: list[Target], how: Measuring) -> float:
    """Of the mean face at its best size: a factor found for a method says nothing of it."""
    face, ruler = Face(how.mean_face), Ruler(how.protocol)
    try:
        found = over_scans(
            lambda target: (target.score(face, ruler, {}), ""),
            targets,
            how.protocol.reduction.scan,
        )
    except Exception:
        return NAN
    pooled = how.protocol.reduction.subjects == "pooled"
    return found.pair.score.mean_mm if pooled else found.pair.score.value_mm


def _with_mean_face(measured: Measured, error_mm: float) -> Measured:
    return replace(measured, row={**measured.row, "mean_face_mm": error_mm})
