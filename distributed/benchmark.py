"""The benchmark from a dataset to a run folder: frames, predictions, scores, summary."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from typing import Protocol as Interface

import numpy as np

from ..bench.dataset.interface import Clip, Dataset, Problem
from ..bench.method.clip_faces import ChunkRow
from ..bench.method.interface import AnyMethod, HoldsMeshes, Method
from ..bench.method.registry import Decoder
from ..bench.protocol.record import Protocol
from ..bench.scoring.measure import Measured, Measuring, Prediction, SubjectJob
from ..bench.scoring.statistics import geometric_mean
from ..errors import FacebenchError, error_line
from ..recon.export.mesh_files import write_ply
from ..recon.mesh.record import Mesh
from ..results.run.folder import SCORED, RunFolder, RunRecord
from ..results.run.items import GrowingTable, SubjectsTable
from ..results.run.ledger import ClipProgress, ClipSum, Clock, Ledger
from ..results.run.record import now
from ..results.run.summary import SceneSummary, summarise
from .frames import ClipTask, FrameJob, describe_clips
from .tasks import measure_subjects

if TYPE_CHECKING:
    pass


Item = TypeVar("Item")

UNFINISHED = "not all of its frames were read: a worker was lost; run the command again"


class Predictor:
    """Makes each subject's faces; looks a dataset through once for all of them.

    Args:
        dataset: whose subjects.
        method: decodes mean vectors, or holds the faces.
        ledger: the sums of the clips.
    """

    def __init__(self, dataset: Dataset, method: AnyMethod, ledger: Ledger) -> None:
        self._scenes = dataset.scenes
        self._method, self._ledger = method, ledger
        self._clips = {clip.id: clip for clip in dataset.clips}
        self._scans = _by_subject((scan.subject, scan) for scan in dataset.scans)
        self._problems = _by_subject((p.where.partition("/")[0], p) for p in dataset.problems)

    def job(self, subject: str) -> SubjectJob:
        """A subject's face in each scene, and the scans to measure it on."""
        scans = tuple(self._scans[subject])
        reason = "" if scans else self._problems_of(subject, subject)
        made = (self._prediction(subject, scene) for scene in self._scenes)
        return SubjectJob(subject, scans, reason, tuple(made))

    def _prediction(self, subject: str, scene: str) -> Prediction:
        if isinstance(self._method, HoldsMeshes):
            return _from_file(self._method, subject, scene)
        clip = self._clips.get(f"{subject}/{scene}")
        if clip is None:
            reason = self._problems_of(subject, f"{subject}/{scene}")
            return Prediction(scene, None, reason, 0, 0)
        return _from_clip(self._method, self._ledger, clip)

    def _problems_of(self, subject: str, where: str) -> str:
        """What the dataset knows against a subject's scan, or against a clip."""
        clips = {f"{subject}/{scene}" for scene in self._scenes}
        about = [
            problem.reason if problem.where == where else f"{problem.where}: {problem.reason}"
            for problem in self._problems[subject]
            if problem.where == where
            or (problem.where.startswith(f"{where}/") and problem.where not in clips)
        ]
        return "; ".join(about) or "it is not in the dataset"


def relevant_problems(dataset: Dataset, method: AnyMethod) -> tuple[Problem, ...]:
    """The dataset's problems without those of clips where no clip is read."""
    if not isinstance(method, HoldsMeshes):
        return dataset.problems
    clips = _clip_ids(dataset)
    return tuple(problem for problem in dataset.problems if problem.where not in clips)


def _clip_ids(dataset: Dataset) -> set[str]:
    return {f"{subject}/{scene}" for subject in dataset.subjects for scene in dataset.scenes}


def _by_subject(items: Iterable[tuple[str, Item]]) -> defaultdict[str, list[Item]]:
    found: defaultdict[str, list[Item]] = defaultdict(list)
    for subject, item in items:
        found[subject].append(item)
    return found


def _from_clip(method: Method, ledger: Ledger, clip: Clip) -> Prediction:
    total = ledger.total(clip.id)
    note, read, faces = "; ".join(total.reasons), total.frames, total.faces
    if not total.finished:
        return Prediction(clip.scene, None, note or UNFINISHED, read, faces)
    if not faces:
        reason = note or f"no face was found in any of {read} frames"
        return Prediction(clip.scene, None, reason, read, 0)
    try:
        mesh = _mean_mesh(method, total)
    except Exception as error:
        return Prediction(clip.scene, None, error_line(error), read, faces)
    return Prediction(clip.scene, mesh, note, read, faces, vectors=total.vectors)


def _mean_mesh(method: Method, total: ClipSum) -> Mesh:
    """The mean vector decoded, or the mean of the decoded vectors where those were added up."""
    mesh = method.mesh(total.sum / total.faces)
    if total.vertices is None:
        return mesh
    return replace(mesh, vertices=(total.vertices / total.faces).reshape(-1, 3))


def _from_file(method: HoldsMeshes, subject: str, scene: str) -> Prediction:
    try:
        mesh = method.mesh_for(subject, scene)
        landmarks = method.landmarks_for(subject, scene)
    except Exception as error:
        said = error_line(error)
        return Prediction(scene, None, said, 0, 0)
    return Prediction(scene, mesh, "", 0, 0, landmarks)


Row = dict[str, Any]


def score_subjects(benchmark: Benchmark, folder: RunFolder, listen: Listener) -> list[Row]:
    """Measure every subject that the folder lacks, keep each as it is finished; all rows.

    With `alignment.scale = global` a first pass gives every mesh its own scale; their geometric
    mean over subjects and scenes, kept in the record, is what the second pass gives all of them.
    """
    how = measuring(benchmark)
    if benchmark.protocol.alignment.scale == "global":
        first = _pass(benchmark, folder, how, folder.first_pass, _keep_nothing, listen)
        how = replace(how, fixed_scale=global_scale(first))
        folder.write_record(replace(folder.record(), global_scale=how.fixed_scale))
    return _pass(benchmark, folder, how, folder.scores, _keep, listen)


def measuring(benchmark: Benchmark) -> Measuring:
    """How the subjects of a benchmark are measured."""
    job = benchmark.job
    return Measuring(
        protocol=benchmark.protocol,
        unit=benchmark.unit,
        mean_face=benchmark.mean_face,
        parts=benchmark.method.parts,
        decode=None if job is None else Decoder(job.method, job.options),
    )


def global_scale(rows: list[Row]) -> float | None:
    """The geometric mean of the scored rows' scale factors; None without any."""
    scales = [row["scale"] for row in rows if row["status"] == SCORED]
    return geometric_mean(scales) if scales else None


def _pass(
    benchmark: Benchmark,
    folder: RunFolder,
    how: Measuring,
    table: SubjectsTable,
    keep: Callable[[Measured, RunFolder], None],
    listen: Listener,
) -> list[Row]:
    """Rows of all subjects; those that the table has, measured in the same way, are not redone."""
    rows = table.whole_subjects(len(benchmark.dataset.scenes), how.fixed_scale)
    known = {row["subject"] for row in rows}
    for name in sorted(known):
        listen.subject(name)
    missing = (name for name in benchmark.dataset.subjects if name not in known)
    predictor = Predictor(benchmark.dataset, benchmark.method, folder.ledger)
    with GrowingTable(table, rows) as growing:
        for measured in measure_subjects(map(predictor.job, missing), how):
            for item in measured:
                keep(item, folder)
            growing.add([item.row for item in measured])
            listen.subject(measured[0].row["subject"])
    return growing.rows


def _keep(item: Measured, folder: RunFolder) -> None:
    """The mesh and the distances, before the row that tells of them."""
    subject, scene = item.row["subject"], item.row["scene"]
    path = folder.mesh_path(subject, scene)
    if item.aligned is None:
        path.unlink(missing_ok=True)
        folder.scan_path(subject, scene).unlink(missing_ok=True)
        folder.point_errors.remove(subject, scene)
        return
    folder.point_errors.write(subject, scene, item.distances)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ply(item.aligned, path, {"error": item.vertex_errors.astype(np.float32)})
    if item.scan is not None:
        scan_path = folder.scan_path(subject, scene)
        scan_path.parent.mkdir(parents=True, exist_ok=True)
        write_ply(item.scan.mesh, scan_path, {"error": item.scan.errors.astype(np.float32)})


def _keep_nothing(item: Measured, folder: RunFolder) -> None:
    """The first pass is for the scales alone."""


class Listener(Interface):
    """Is told how far a run has come."""

    def frames(self, row: ChunkRow) -> None:
        """A chunk is done and kept."""
        ...

    def subject(self, name: str) -> None:
        """A subject is measured and kept."""
        ...


@dataclass(frozen=True)
class Benchmark:
    """Everything that decides a run.

    Attributes:
        dataset: clips and scans.
        method: built in this process, to decode the mean vectors or to read the meshes.
        mean_face: error of reference for what fails.
        protocol: how predictions are measured.
        unit: of the scans' files: mm, cm or m.
        job: how the workers read and describe the clips, or None for a method that reads none.
    """

    dataset: Dataset
    method: AnyMethod
    mean_face: Mesh
    protocol: Protocol
    unit: str
    job: FrameJob | None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            FacebenchError: the protocol's reductions do not go together or with the method.
        """
        reduction = self.protocol.reduction
        if reduction.average == "errors" and self.job is None:
            raise FacebenchError(
                f"method '{self.method.card.name}' has one mesh a clip, not one a frame",
                "leave reduction.average at parameters",
            )
        if reduction.average == "errors" and reduction.subjects == "pooled":
            raise FacebenchError(
                "the points of every frame's mesh are too many to be pooled",
                "with reduction.average = errors leave reduction.subjects at mean",
            )

    @property
    def passes(self) -> int:
        """How often every subject is measured: twice to find one scale factor for all."""
        return 2 if self.protocol.alignment.scale == "global" else 1

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The clips that are read: none for a method that comes as files."""
        return () if self.job is None else self.dataset.clips


def run_benchmark(
    benchmark: Benchmark, folder: RunFolder, listen: Listener
) -> dict[str, SceneSummary]:
    """Do what the folder's ledger lacks, measure all subjects, and keep everything in the folder.

    Connected to Ray. Killed at any moment, it continues where it was and gives the same numbers:
    the rows of a clip are added up in the order of its chunks, whatever order they came in.
    """
    _describe(benchmark, folder, listen)
    rows = score_subjects(benchmark, folder, listen)
    summary = summarise(folder)
    folder.write_summary(summary)
    folder.write_record(_ended(folder.record(), rows))
    return summary


def unfinished_tasks(clips: tuple[Clip, ...], ledger: Ledger) -> list[ClipTask]:
    """The clips that are still to be read, each with its chunks that are done."""
    known = ledger.progress()
    standing = ((clip, known.get(clip.id, ClipProgress())) for clip in clips)
    return [ClipTask(clip, progress.done) for clip, progress in standing if not progress.finished]


def _describe(benchmark: Benchmark, folder: RunFolder, listen: Listener) -> None:
    if benchmark.job is None:
        return
    command, begun = now(), time.perf_counter()
    tasks = unfinished_tasks(benchmark.clips, folder.ledger)
    for row in describe_clips(tasks, benchmark.job):
        folder.ledger.write(row, Clock(command, time.perf_counter() - begun))
        listen.frames(row)


def _ended(record: RunRecord, rows: list[dict[str, Any]]) -> RunRecord:
    scored = sum(row["status"] == SCORED for row in rows)
    return replace(record, ended=now(), n_scored=scored, n_unscored=len(rows) - scored)
