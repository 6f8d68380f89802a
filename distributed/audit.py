"""An audit's people, and a run's faces, measured in processes of this machine or on a cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import ray
from threadpoolctl import threadpool_limits

from .. import __version__
from ..bench.audit.measure import (
    CHOICES,
    AuditPlan,
    AuditRow,
    Choice,
    audit_person,
    measure_choices,
)
from ..bench.audit.people import AuditedPerson
from ..bench.dataset.interface import Scan
from ..bench.protocol.record import Protocol
from ..bench.scoring.target import read_target
from ..bench.surface.triangles import IndexArray
from ..errors import FacebenchError
from ..processes import worker_processes
from ..recon.files.text import write_text
from ..recon.mesh import Mesh
from ..recon.morphable import EMBEDDED
from ..recon.morphable.load import load_model
from ..results.run.folder import SCORED, RunFolder
from ..results.run.items import of_scene, read_errors
from ..results.run.record import measured_dataset, source_changes, source_state
from .tasks import in_tasks

Job = TypeVar("Job")
Answer = TypeVar("Answer")


RunFace = tuple[str, Mesh, Scan, str]
"""A measured face: whose, the prediction in mm at the size that its method gave it, its scan with
the labels beside it, and the unit of that file."""


def audit_people(
    people: Iterable[AuditedPerson],
    plan: AuditPlan,
    workers: int,
    cluster: bool = False,
    kept: Path | None = None,
) -> Iterator[pd.DataFrame]:
    """The rows of each person, first those of earlier commands, then as they are finished.

    Args:
        people: whom to measure.
        plan: by what, and with which predictors.
        workers: processes of this machine; 1 works in this one.
        cluster: connected to Ray, whose workers are used instead.
        kept: folder of one file a person, so that an interrupted audit goes on; None keeps nothing.

    Raises:
        FacebenchError: a worker was lost, or a person could not be audited.
    """
    key = _plan_key(plan)
    waiting: list[AuditedPerson] = []
    for person in people:
        rows = _read_rows(_rows_path(kept, person, key)) if kept else None
        if rows is None:
            waiting.append(person)
        else:
            yield pd.DataFrame(rows)
    work = partial(_audit, plan=plan)
    for person, rows in _answers(_each(work, waiting, workers, cluster), lambda one: one.subject):
        if kept:
            # NaN, which a row may hold, is no JSON, but Python writes and reads it.
            write_text(_rows_path(kept, person, key), json.dumps(rows))
        yield pd.DataFrame(rows)


def faces_of(run: RunFolder, subjects: int | None = None) -> list[RunFace]:
    """The scored faces of a run's first scene, one of each of so many subjects: the first by id.

    Raises:
        FacebenchError: the run's data are gone, or it has no scored face.
    """
    record = run.record()
    items = {item.id: item for item in measured_dataset(record).items}
    first = record.scenes[0]
    rows = of_scene(run.items(), first)
    chosen = rows[rows["status"] == SCORED].drop_duplicates("subject")[:subjects]
    if chosen.empty:
        raise FacebenchError(f"{run.root}: no face of the scene {first} was scored")
    landmarks = _landmarks(str(record.arguments.get("model", EMBEDDED)))
    return [
        (
            name,
            _prediction(run.mesh_path(item), scale, landmarks),
            next(scan for scan in items[item].scans if scan.name in scans),
            record.unit,
        )
        for name, item, scale, scans in zip(
            chosen["subject"], chosen["item"], chosen["scale"], chosen["scans"], strict=True
        )
    ]


def measure_faces(
    faces: Sequence[RunFace],
    protocol: Protocol,
    choices: Sequence[Choice] = CHOICES,
    workers: int = 1,
    cluster: bool = False,
) -> Iterator[pd.DataFrame]:
    """One row per subject and one column per choice, as they are finished.

    Raises:
        FacebenchError: a worker was lost.
    """
    work = partial(_measure_choices, protocol=protocol, choices=choices)
    names = [choice.name for choice in choices]
    measured = _answers(_each(work, faces, workers, cluster), lambda face: face[0])
    for (subject, *_), values in measured:
        yield pd.DataFrame([values], index=[subject], columns=names)


def _each(
    work: Callable[[Job], Answer], jobs: Iterable[Job], workers: int, cluster: bool
) -> Iterator[tuple[Job, Answer | Exception]]:
    """Each job with its answer or what stopped it, in the order in which they are finished.

    A dozen people are minutes of work: they need no cluster, whose start alone takes ten seconds.
    """
    if cluster:
        yield from in_tasks(work, jobs)
        return
    if workers == 1:
        for job in jobs:
            # As workers compute, or another number of them would end in other last digits.
            with threadpool_limits(1):
                answer = work(job)
            yield job, answer
        return
    with worker_processes(workers, __name__) as pool:
        waiting = {pool.submit(work, job): job for job in jobs}
        for done in as_completed(waiting):
            yield waiting[done], done.exception() or done.result()  # type: ignore[misc]


def _answers(
    answers: Iterable[tuple[Job, Answer | Exception]], name: Callable[[Job], str]
) -> Iterator[tuple[Job, Answer]]:
    """The answers that there are; then the first reason why one is missing, raised.

    Who fails does not stop the others: what they took hours for is kept first.
    """
    failed: list[tuple[Job, Exception]] = []
    for job, answer in answers:
        if isinstance(answer, Exception):
            failed.append((job, answer))
        else:
            yield job, answer
    for job, error in failed:
        cause = getattr(error, "cause", error)
        if isinstance(cause, FacebenchError):
            raise cause
        lost = isinstance(error, ray.exceptions.RayError | BrokenProcessPool)
        said = "its worker was lost" if lost else "could not be measured"
        raise FacebenchError(f"{name(job)}: {said} ({type(error).__name__}: {error})") from error


def _plan_key(plan: AuditPlan) -> str:
    """What rows depend on besides their person."""
    # Numbers of changed code are not those of its commit, nor of another change.
    code = (__version__, source_state(), source_changes())
    asked = (*code, plan.model.digest, plan.seed)
    protocols = [item.digest for item in plan.protocols]
    return repr((*asked, protocols, [item.name for item in plan.predictors]))


def _rows_path(folder: Path, person: AuditedPerson, plan: str) -> Path:
    key = hashlib.sha256(plan.encode())
    # The person whole, not the name: those of another set may be called the same.
    for points in (person.vertices, person.scan.vertices, person.scan.triangles):
        key.update(np.ascontiguousarray(points).tobytes())
    return folder / f"{person.subject}-{key.hexdigest()[:16]}.json"


def _read_rows(path: Path) -> list[dict[str, object]] | None:
    """An earlier command's rows of a person; None where there are none, or the file is damaged."""
    try:
        return [asdict(AuditRow(**row)) for row in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return None


def _audit(person: AuditedPerson, plan: AuditPlan) -> list[dict[str, object]]:
    return [asdict(row) for row in audit_person(person, plan)]


def _measure_choices(face: RunFace, protocol: Protocol, choices: Sequence[Choice]) -> list[float]:
    _, mesh, scan, unit = face
    return measure_choices(mesh, read_target(scan, unit), protocol, choices)


def _prediction(path: Path, scale: float, landmarks: Mapping[int, IndexArray]) -> Mesh:
    """An aligned mesh of a run as it was before the alignment scaled it."""
    mesh, _ = read_errors(path)
    vertices = np.asarray(mesh.vertices, np.float64) / scale
    return replace(mesh, vertices=vertices, landmarks=landmarks.get(len(vertices)))


def _landmarks(model: str) -> dict[int, IndexArray]:
    """The landmarks of a face model, by the number of its vertices: meshes on disk have none."""
    loaded = load_model(model)
    return {len(loaded.mean_shape): np.asarray(loaded.landmarks, np.int64)}
