"""One subject: its scan read once, its predictions measured, every failure a row with a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FacebenchError
from ..recon.mesh import Mesh
from .chunks import plain_reason
from .dataset import Scan
from .meshes import read_mesh
from .nose_tip import read_nose_tip
from .protocol import Protocol
from .score import Score, ScoredPair, failed_score, score_prediction

if TYPE_CHECKING:
    from .landmarks import Landmarks

SOUND_OVERLAP = 0.8
"""A face laid on the wrong place of a scan covers less of the crop; a right one 0.94 and more."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method made of one clip.

    Attributes:
        scene: of the clip.
        mesh: the subject's face in mm, or None where there is none.
        reason: why there is none; with a mesh, what was wrong with parts of the clip.
        frames, faces: read and described; 0 for a mesh that comes as a file.
        landmarks: given beside the mesh, or None for the mesh's own.
    """

    scene: str
    mesh: Mesh | None
    reason: str
    frames: int
    faces: int
    landmarks: Landmarks | None = None


@dataclass(frozen=True, eq=False)
class SubjectJob:
    """What is to be measured of one subject.

    Attributes:
        subject: whose.
        scan: to measure against, or None where there is none.
        reason: why there is no scan.
        predictions: one a scene.
    """

    subject: str
    scan: Scan | None
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
    """

    protocol: Protocol
    unit: str
    mean_face: Mesh
    parts: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Measured:
    """One row of the subjects' table and what a picture of it needs.

    Attributes:
        row: `Score.to_row()` with `frames`, `faces`, `note`, `scan`, `curve`, `mean_face_mm`.
        aligned: the prediction in the scan's space, mm, or None when it failed.
        vertex_errors: (V,) mm, NaN outside of the region of intersection.
    """

    row: dict[str, Any]
    aligned: Mesh | None
    vertex_errors: NDArray[np.float64]


def measure_subject(job: SubjectJob, how: Measuring) -> list[Measured]:
    """Measure every prediction of a subject; never raises for what the files hold."""
    try:
        target = _read_target(job, how.unit)
    except Exception as error:
        return failed_subject(job, _reason(error), how)
    measured = [_measure(job, prediction, target, how) for prediction in job.predictions]
    if all(item.aligned is not None for item in measured):
        return measured
    mean_face_mm = _mean_face_error(target, how)
    return [_with_mean_face(item, mean_face_mm) for item in measured]


def failed_subject(job: SubjectJob, reason: str, how: Measuring) -> list[Measured]:
    """Rows that say why nothing of a subject could be measured."""
    return [_failed(job, prediction, reason, how) for prediction in job.predictions]


@dataclass(frozen=True, eq=False)
class _Target:
    """A scan and what was measured against it: one face of several scenes is measured once."""

    scan: Mesh
    nose_tip: NDArray[np.float64] | None
    name: str
    note: str
    known: dict[bytes, ScoredPair] = field(default_factory=dict)

    def score(
        self, face: Mesh, protocol: Protocol, parts: Mapping[str, NDArray[np.bool_]]
    ) -> ScoredPair:
        key = hashlib.sha256(np.ascontiguousarray(face.vertices).tobytes()).digest()
        if key not in self.known:
            self.known[key] = score_prediction(
                face, self.scan, protocol, nose_tip=self.nose_tip, parts=parts
            )
        return self.known[key]


def _read_target(job: SubjectJob, unit: str) -> _Target:
    if job.scan is None:
        raise FacebenchError(job.reason)
    mesh, removed = read_mesh(job.scan.path, unit)
    label = None if job.scan.nose_tip is None else read_nose_tip(job.scan.nose_tip)
    note = f"{job.scan.name}: {removed} left out" if str(removed) else ""
    return _Target(mesh, label, job.scan.name, note)


def _measure(job: SubjectJob, prediction: Prediction, target: _Target, how: Measuring) -> Measured:
    if prediction.mesh is None:
        return _failed(job, prediction, prediction.reason, how)
    try:
        pair = target.score(prediction.mesh, how.protocol, how.parts)
    except Exception as error:
        return _failed(job, prediction, _reason(error), how)
    score = replace(pair.score, subject=job.subject, scene=prediction.scene)
    note = "; ".join(filter(None, (prediction.reason, target.note, _doubt(score))))
    row = {**score.to_row(), **_facts(prediction), "note": note, "scan": target.name}
    return Measured({**row, "curve": pair.curve.tolist()}, pair.aligned, pair.vertex_errors)


def _failed(job: SubjectJob, prediction: Prediction, reason: str, how: Measuring) -> Measured:
    score = failed_score(job.subject, prediction.scene, reason, how.protocol)
    row = {**score.to_row(), **_facts(prediction), "note": "", "scan": "", "curve": None}
    return Measured(row, None, np.empty(0))


def _doubt(score: Score) -> str:
    """What speaks against an alignment that was found; empty for a sound one."""
    if score.overlap < SOUND_OVERLAP:
        return f"only {score.overlap:.0%} of the cropped scan has a counterpart: see its picture"
    return "" if score.converged else "the alignment did not converge"


def _facts(prediction: Prediction) -> dict[str, Any]:
    return {
        "frames": prediction.frames,
        "faces": prediction.faces,
        "mean_face_mm": float("nan"),
    }


def _mean_face_error(target: _Target, how: Measuring) -> float:
    try:
        return target.score(how.mean_face, how.protocol, {}).score.value_mm
    except Exception:
        return float("nan")


def _with_mean_face(measured: Measured, error_mm: float) -> Measured:
    return replace(measured, row={**measured.row, "mean_face_mm": error_mm})


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, FacebenchError) else plain_reason(error)
