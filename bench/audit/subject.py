"""One person of a synthetic set measured by every protocol with every method of known quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import FacebenchError
from ...recon.mesh.record import Mesh
from ...recon.morphable.model import MorphableModel
from ..landmarks.points import Landmarks
from ..meshes.clean import read_mesh
from ..protocol.record import Protocol
from ..scoring.score import score_prediction
from ..surface.triangles import Float64Array
from .correlation import correlation
from .grades import Grade
from .truth import PersonTruth, face_vertices, true_errors

STATISTICS: Mapping[str, Callable[[Float64Array], np.floating]] = {
    "mean": np.mean,
    "median": np.median,
    "rmse": lambda errors: np.sqrt(np.mean(np.square(errors))),
}


@dataclass(frozen=True, eq=False)
class AuditPlan:
    """What is audited, the same for all people.

    Attributes:
        model: of the set.
        grades: the made-up methods.
        protocols: what they are measured by.
        seed: of what the methods add.
    """

    model: MorphableModel
    grades: tuple[Grade, ...]
    protocols: tuple[Protocol, ...]
    seed: int


@dataclass(frozen=True)
class AuditRow:
    """One prediction by one protocol.

    Attributes:
        protocol, digest, method, subject: which.
        measured_mm: the protocol's value, NaN with a reason when there is none.
        true_mm: the same statistic of the true errors of the face's vertices.
        vertices: correlation of measured and true errors over those vertices.
        reason: why there is no value, else empty.
    """

    protocol: str
    digest: str
    method: str
    subject: str
    measured_mm: float
    true_mm: float
    vertices: float
    reason: str = ""


def audit_person(person: PersonTruth, scans: Mapping[str, Path], plan: AuditPlan) -> list[AuditRow]:
    """Measure every method by every protocol on a person's first scan.

    The true landmarks of the scan are given to protocols that need them, and to no other: the rest
    are audited as they run on MICC, where nobody labels scans.

    Args:
        person: the truth.
        scans: by name, where the scans are; the first by name is measured.
        plan: the rest.
    """
    name = min(scans)
    scan, _ = read_mesh(scans[name])
    landmarks = person.landmarks_on(name)
    number = int.from_bytes(person.subject.encode(), "little") % 2**32
    generator = np.random.default_rng([plan.seed, number])
    faces = {grade: grade.predict(plan.model, person.identity, generator) for grade in plan.grades}
    return [
        _measure(person, (grade, face), (scan, landmarks), protocol, plan.model)
        for grade, face in faces.items()
        for protocol in plan.protocols
    ]


def _measure(
    person: PersonTruth,
    predicted: tuple[Grade, Mesh],
    target: tuple[Mesh, Landmarks],
    protocol: Protocol,
    model: MorphableModel,
) -> AuditRow:
    (grade, prediction), (scan, landmarks) = predicted, target
    face = face_vertices(model, person)
    truth = true_errors(prediction, person, face, protocol.alignment.scale != "none")
    true_mm = float(STATISTICS[protocol.reduction.points](truth))
    measured, errors, reason = _score(person.subject, prediction, scan, protocol, landmarks)
    vertices = correlation(errors[face], truth) if len(errors) else float("nan")
    which = (protocol.name, protocol.digest, grade.name, person.subject)
    return AuditRow(*which, measured, true_mm, vertices, reason)


def _score(
    subject: str, prediction: Mesh, scan: Mesh, protocol: Protocol, landmarks: Landmarks
) -> tuple[float, Float64Array, str]:
    """Value, errors at the prediction's vertices, and why there are none."""
    given = landmarks if needs_landmarks(protocol) else None
    try:
        pair = score_prediction(prediction, scan, protocol, subject=subject, scan_landmarks=given)
    except FacebenchError as error:
        return float("nan"), np.empty(0), str(error)
    return pair.score.value_mm, pair.vertex_errors, ""


def needs_landmarks(protocol: Protocol) -> bool:
    """Whether a protocol cannot run without labels on the scan."""
    return "seven_landmarks" in (protocol.crop.centre, protocol.alignment.start)
