"""An audit's people, and a run's faces, measured in parallel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import ray

from ..bench.audit.sensitivity import CHOICES, Choice, measure_choices
from ..bench.audit.subject import AuditPlan, audit_person
from ..bench.audit.truth import PersonTruth
from ..bench.datasets.micc import MiccDataset
from ..bench.meshes.clean import read_mesh
from ..bench.protocol.record import Protocol
from ..bench.surface.triangles import IndexArray
from ..errors import FacebenchError
from ..recon.mesh.record import Mesh
from ..recon.morphable.load import load_model
from ..results.report.heat_maps import read_errors
from ..results.run.folder import SCORED, RunFolder
from .tasks import in_tasks


@dataclass(frozen=True, eq=False)
class Person:
    """One person to audit.

    Attributes:
        truth: what is true.
        scans: by name, where the scans are.
    """

    truth: PersonTruth
    scans: dict[str, Path]


@dataclass(frozen=True, eq=False)
class RunFace:
    """One measured face of a run.

    Attributes:
        subject: whose.
        mesh: the prediction, mm, before it was scaled.
        scan: the file that it was measured against.
        unit: of that file.
    """

    subject: str
    mesh: Mesh
    scan: Path
    unit: str


def people_of(data: Path, truths: Sequence[PersonTruth]) -> list[Person]:
    """The people of a synthetic set whose scans and truth are both there."""
    scans = MiccDataset(data).scans
    named = {t.subject: {s.name: s.path for s in scans if s.subject == t.subject} for t in truths}
    return [Person(truth, named[truth.subject]) for truth in truths if named[truth.subject]]


def audited(people: Sequence[Person], plan: AuditPlan) -> Iterator[pd.DataFrame]:
    """The rows of each person as they are finished; connected to Ray.

    Raises:
        FacebenchError: a worker was lost, or a person could not be audited.
    """
    for person, rows in in_tasks(partial(_audit, plan=plan), people):
        if isinstance(rows, ray.exceptions.RayError):
            raise _told(person.truth.subject, rows)
        yield pd.DataFrame(rows)


def faces_of(run: RunFolder, subjects: int | None = None) -> list[RunFace]:
    """The scored faces of a run's first scene, one a subject.

    Raises:
        FacebenchError: the run's data are gone, or it has no scored face.
    """
    record = run.record()
    data = Path(str(record.arguments["data"]))
    known = {(scan.subject, scan.name): scan.path for scan in MiccDataset(data).scans}
    rows = run.subjects()
    first = record.scenes[0]
    chosen = rows[(rows["scene"] == first) & (rows["status"] == SCORED)].head(subjects)
    if chosen.empty:
        raise FacebenchError(f"{run.root}: no face of the scene {first} was scored")
    landmarks = _landmarks(str(record.arguments["model"]))
    return [
        RunFace(
            row.subject,
            _prediction(run.mesh_path(row.subject, row.scene), row.scale, landmarks),
            known[row.subject, row.scan],
            record.unit,
        )
        for row in chosen.itertuples()
    ]


def tried(
    faces: Sequence[RunFace], protocol: Protocol, choices: Sequence[Choice] = CHOICES
) -> Iterator[pd.DataFrame]:
    """One row a subject and one column a choice, as they are finished; connected to Ray.

    Raises:
        FacebenchError: a worker was lost.
    """
    for face, values in in_tasks(partial(_try, protocol=protocol, choices=choices), faces):
        if isinstance(values, ray.exceptions.RayError):
            raise _told(face.subject, values)
        names = [choice.name for choice in choices]
        yield pd.DataFrame([values], index=[face.subject], columns=names)


def _audit(person: Person, plan: AuditPlan) -> list[dict[str, object]]:
    return [asdict(row) for row in audit_person(person.truth, person.scans, plan)]


def _try(face: RunFace, protocol: Protocol, choices: Sequence[Choice]) -> list[float]:
    scan, _ = read_mesh(face.scan, face.unit)
    return measure_choices(face.mesh, scan, protocol, choices)


def _prediction(path: Path, scale: float, landmarks: Mapping[int, IndexArray]) -> Mesh:
    """An aligned mesh of a run as it was before the alignment scaled it."""
    mesh, _ = read_errors(path)
    vertices = np.asarray(mesh.vertices, np.float64) / scale
    return replace(mesh, vertices=vertices, landmarks=landmarks.get(len(vertices)))


def _landmarks(model: str) -> dict[int, IndexArray]:
    """The landmarks of a face model, by the number of its vertices: meshes on disk have none."""
    loaded = load_model(model)
    return {len(loaded.mean_shape): np.asarray(loaded.landmarks, np.int64)}


def _told(subject: str, error: ray.exceptions.RayError) -> FacebenchError:
    cause = getattr(error, "cause", None)
    if isinstance(cause, FacebenchError):
        return cause
    return FacebenchError(f"{subject}: could not be measured ({type(error).__name__}: {error})")
