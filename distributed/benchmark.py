"""The benchmark from a dataset to a run folder: frames, predictions, scores, summary."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any
from typing import Protocol as Interface

from ..bench.datasets.interface import Clip, Dataset
from ..bench.frames.chunks import ChunkRow
from ..bench.method.interface import AnyMethod
from ..bench.protocol.record import Protocol
from ..errors import FacebenchError
from ..recon.mesh.record import Mesh
from ..results.run.folder import SCORED, RunFolder, RunRecord
from ..results.run.ledger import ClipProgress, Clock, Ledger
from ..results.run.provenance import now
from ..results.run.scene_summary import SceneSummary
from ..results.run.summary import summarise
from .frames import ClipTask, FrameJob, describe_clips
from .scoring import score_subjects


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
