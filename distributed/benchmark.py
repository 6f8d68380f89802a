"""The benchmark from a dataset to a run folder: frames, predictions, scores, summary."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any
from typing import Protocol as Interface

import numpy as np

from ..bench.chunks import ChunkRow
from ..bench.dataset import Clip, Dataset
from ..bench.measure import Measured, Measuring
from ..bench.method import AnyMethod
from ..bench.protocol import Protocol
from ..recon.export import write_ply
from ..recon.mesh import Mesh
from ..results.ledger import Ledger
from ..results.provenance import now
from ..results.record import SCORED, RunFolder, RunRecord, SceneSummary
from ..results.summary import summarise
from .evaluate import measure_subjects
from .frames import ClipTask, FrameJob, describe_clips
from .predict import predict


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
    rate = _describe(benchmark, folder, listen)
    rows = _measure(benchmark, folder, listen)
    record = folder.record()
    summary = summarise(folder.subjects(), record, _known_rate(rate, folder))
    folder.write_summary(summary)
    folder.write_record(_ended(record, rows))
    return summary


def unfinished_tasks(clips: tuple[Clip, ...], ledger: Ledger) -> list[ClipTask]:
    """The clips that are still to be read, each with its chunks that are done."""
    waiting = (clip for clip in clips if not ledger.finished(clip.id))
    return [ClipTask(clip, ledger.done(clip.id)) for clip in waiting]


def measured_rows(benchmark: Benchmark, folder: RunFolder) -> list[dict[str, Any]]:
    """Rows that an earlier command kept of subjects whose every scene has a score."""
    table = folder.subjects()
    if table.empty:
        return []
    n_scored = table[table["status"] == SCORED].groupby("subject").size()
    whole = n_scored[n_scored == len(benchmark.dataset.scenes)].index
    rows = table[table["subject"].isin(whole)].to_dict("records")
    return [{**row, "curve": list(row["curve"])} for row in rows]


class _Rate:
    """Frames per second from the first arrival on, when all workers are under way."""

    def __init__(self) -> None:
        self._first = self._last = 0.0
        self._frames = 0

    def add(self, frames: int) -> None:
        self._last = time.perf_counter()
        if self._first:
            self._frames += frames
        else:
            self._first = self._last

    def value(self) -> float:
        return self._frames / (self._last - self._first) if self._frames else float("nan")


def _describe(benchmark: Benchmark, folder: RunFolder, listen: Listener) -> float:
    rate = _Rate()
    if benchmark.job is None:
        return rate.value()
    tasks = unfinished_tasks(benchmark.clips, folder.ledger)
    for row in describe_clips(tasks, benchmark.job):
        folder.ledger.write(row)
        rate.add(row.frames)
        listen.frames(row)
    return rate.value()


def _measure(benchmark: Benchmark, folder: RunFolder, listen: Listener) -> list[dict[str, Any]]:
    how = Measuring(benchmark.protocol, benchmark.unit, benchmark.mean_face, benchmark.method.parts)
    kept = measured_rows(benchmark, folder)
    known = {row["subject"] for row in kept}
    for name in sorted(known):
        listen.subject(name)
    missing = (name for name in benchmark.dataset.subjects if name not in known)
    jobs = (predict(benchmark.dataset, benchmark.method, folder.ledger, name) for name in missing)
    for measured in measure_subjects(jobs, how):
        for item in measured:
            _keep_mesh(item, folder)
        kept += [item.row for item in measured]
        folder.write_subjects(kept)
        listen.subject(measured[0].row["subject"])
    return kept


def _keep_mesh(item: Measured, folder: RunFolder) -> None:
    path = folder.mesh_path(item.row["subject"], item.row["scene"])
    if item.aligned is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ply(item.aligned, path, {"error": item.vertex_errors.astype(np.float32)})


def _known_rate(rate: float, folder: RunFolder) -> float:
    """This command's rate, else the one of an earlier command that read the frames."""
    if rate == rate or not (folder.root / "summary.json").is_file():
        return rate
    return next((s.frames_per_second for s in folder.summary().values()), rate)


def _ended(record: RunRecord, rows: list[dict[str, Any]]) -> RunRecord:
    scored = sum(row["status"] == SCORED for row in rows)
    return replace(record, ended=now(), n_scored=scored, n_unscored=len(rows) - scored)
