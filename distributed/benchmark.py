"""The benchmark from a dataset to a run folder: frames, predictions, results, summary."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any
from typing import Protocol as Interface

import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from ..bench.dataset.interface import Clip, Dataset, Item, Problem
from ..bench.dataset.registry import item_digests
from ..bench.meshes.units import ANY_UNIT, rounding_note
from ..bench.method.clip_faces import ChunkRow
from ..bench.method.interface import AnyMethod, HoldsMeshes, Method
from ..bench.method.registry import decode
from ..bench.protocol.record import Protocol
from ..bench.scoring.measure import Job, Measured, failed, failed_job, measure_job
from ..bench.scoring.result import SCORED, Result
from ..bench.scoring.statistics import geometric_mean
from ..bench.scoring.target import Prediction, Ruler
from ..errors import FacebenchError, count_of, error_line
from ..recon.face.tracks import describe_others
from ..recon.files.contents import content_hashes
from ..recon.files.publishing import publish
from ..recon.mesh import Mesh
from ..recon.video.decode import estimate_frames
from ..results.run.folder import RunFolder
from ..results.run.growing import GrowingTable
from ..results.run.items import ItemsTable
from ..results.run.ledger import ClipProgress, Ledger
from ..results.run.record import now
from ..results.run.summary import SceneSummary, summarise
from .cluster import is_connected
from .frames import ClipTask, FrameJob, describe_clips, describe_here
from .tasks import Behind, in_tasks

FEW_ITEMS, FEW_FRAMES = 8, 100
"""Up to so many items of so many frames are read and measured in this process: Ray, and PyTorch in
each of its workers, take many seconds to start."""

UNFINISHED = "not all of its frames were read: a worker was lost; run the command again"
CHANGED = "its files changed while it was measured: run the command again"


class Listener(Interface):
    """Called with the progress of a run."""

    def frames(self, row: ChunkRow) -> None:
        """A chunk is done and kept."""

    def subject(self, name: str) -> None:
        """A subject's items are measured and kept."""


@dataclass(frozen=True)
class Benchmark:
    """Everything that decides a run.

    Attributes:
        dataset: the items.
        method: built in this process, to decode the mean vectors or to read the meshes.
        mean_face: error of reference for what fails.
        protocol: how predictions are measured.
        unit: of the scans' files: mm, cm or m.
        job: how the workers read and encode the clips, or None for a method that reads none.
        prediction_unit: of predictions: mm, cm, m or `any`.
    """

    dataset: Dataset
    method: AnyMethod
    mean_face: Mesh
    protocol: Protocol
    unit: str
    job: FrameJob | None
    prediction_unit: str = "mm"

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
        # Each point of each frame would be in the pool: near 10^8 for a clip of 1000 frames.
        if reduction.average == "errors" and reduction.subjects == "pooled":
            raise FacebenchError(
                "the points of every frame's mesh are too many to be pooled",
                "with reduction.average = errors leave reduction.subjects at mean",
            )

    @property
    def passes(self) -> int:
        """How often every item is measured: twice to find one scale factor for all."""
        return 2 if self.protocol.alignment.scale == "global" else 1

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The clips that are read: none for a method that comes as files."""
        # Meshes need no video, so a broken or missing one is no fault of theirs.
        return () if self.job is None else self.dataset.clips

    @cached_property
    def needs_workers(self) -> bool:
        """Whether it is worth starting Ray for, or workers were asked for."""
        if len(self.dataset.items) > FEW_ITEMS:
            return True
        if self.job is None or self.job.workers is not None:
            return self.job is not None
        most = math.inf if self.job.limit is None else self.job.limit
        return sum(min(estimate_frames(clip.path), most) for clip in self.clips) > FEW_FRAMES

    @property
    def ruler(self) -> Ruler:
        """How the items are measured."""
        job = self.job
        return Ruler(
            protocol=self.protocol,
            unit=self.unit,
            mean_face=self.mean_face,
            parts=self.method.parts,
            decode=None if job is None else partial(decode, job.method, job.options),
        )

    def problems(self) -> tuple[Problem, ...]:
        """The dataset's problems without those of clips where no clip is read."""
        if self.job is not None:
            return self.dataset.problems
        clips = {item.id for item in self.dataset.items}
        return tuple(problem for problem in self.dataset.problems if problem.where not in clips)

    def data_digests(self, items: Sequence[Item]) -> dict[str, str]:
        """By item's id, SHA-256 over what is now in the files that it is measured on."""
        # Of the files as they are now, not from the dataset: so a change under the run is seen.
        scans = item_digests(items)
        if not isinstance(self.method, HoldsMeshes):
            return scans
        files = {item.id: self.method.files_for(item) for item in items}
        hashes = content_hashes({path for paths in files.values() for path in paths})
        whole = {
            name: " ".join([scans[name], self.prediction_unit, *(hashes[path] for path in paths)])
            for name, paths in files.items()
        }
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in whole.items()}


def run_benchmark(
    benchmark: Benchmark, folder: RunFolder, listen: Listener
) -> dict[str, SceneSummary]:
    """Do what the folder's ledger lacks, measure all items, and keep everything in the folder.

    By Ray's workers where this process is connected to it, as is worth it where the benchmark
    `needs_workers`; else in this process, with the same numbers. Killed at any moment, it continues
    where it was and gives the same numbers: the rows of a clip are added up in the order of its
    chunks, whatever order they came in.
    """
    # All clips before the first score: `alignment.scale = global` needs every face.
    encode_clips(benchmark, folder, listen)
    score_items(benchmark, folder, listen)
    summary = summarise(folder)
    # The record's end comes last: who finds it may trust that everything else is there.
    folder.write_summary(summary)
    statuses = folder.scores.table(["status"])["status"].to_pylist()
    scored = statuses.count(SCORED)
    counts = {"n_scored": scored, "n_unscored": len(statuses) - scored}
    folder.write_record(replace(folder.record(), ended=now(), **counts))
    return summary


def unfinished_tasks(clips: tuple[Clip, ...], ledger: Ledger) -> list[ClipTask]:
    """The clips that are still to be read, each with its chunks that are done."""
    known = ledger.progress()
    standing = ((clip, known.get(clip.id, ClipProgress())) for clip in clips)
    return [ClipTask(clip, progress.done) for clip, progress in standing if not progress.finished]


def encode_clips(benchmark: Benchmark, folder: RunFolder, listen: Listener) -> None:
    """Read and encode the clips that the ledger lacks."""
    if benchmark.job is None:
        return
    command, begun = now(), time.perf_counter()
    tasks = unfinished_tasks(benchmark.clips, folder.ledger)

    def keep(rows: Sequence[ChunkRow]) -> None:
        # On disk before it is counted: progress never shows what a kill would lose.
        folder.ledger.write_all(rows, command, time.perf_counter() - begun)
        publish(folder.root)
        for row in rows:
            listen.frames(row)

    if not is_connected():
        for row in describe_here(tasks, benchmark.job):
            keep([row])
        return
    # Ray alone takes 5 ms of this process a block; no disk and no store holds it up besides.
    with Behind(keep) as behind:
        for row in describe_clips(tasks, benchmark.job):
            behind.put(row)


def score_items(benchmark: Benchmark, folder: RunFolder, listen: Listener) -> None:
    """Measure every item that the folder lacks, and keep each as it is finished.

    With `alignment.scale = global` a first pass gives every mesh its own scale; their geometric
    mean over the items, kept in the record, is what the second pass gives all of them.
    """
    ruler = benchmark.ruler
    if benchmark.protocol.alignment.scale == "global":
        _pass(benchmark, folder, ruler, folder.first_pass, _nothing_kept, _nothing_lacks, listen)
        ruler = replace(ruler, fixed_scale=global_scale(folder.first_pass))
        folder.write_record(replace(folder.record(), global_scale=ruler.fixed_scale))
    scores, keep, has = folder.scores, folder.keep_arrays, folder.has_arrays
    _pass(benchmark, folder, ruler, scores, keep, has, listen)


def _nothing_kept(measured: Measured) -> None:
    """Of the first of two passes the numbers are all."""


def _nothing_lacks(item: str) -> bool:
    return True


def global_scale(table: ItemsTable) -> float | None:
    """The geometric mean of the scored results' scale factors; None without any."""
    facts = table.table(["status", "scale"])
    scales = facts.filter(pc.field("status") == SCORED)["scale"].to_pylist()
    return geometric_mean(scales) if scales else None


def _pass(
    benchmark: Benchmark,
    folder: RunFolder,
    ruler: Ruler,
    table: ItemsTable,
    keep: Callable[[Measured], None],
    has: Callable[[str], bool],
    listen: Listener,
) -> None:
    """Measure all items; those that the table has, of the same files and scale, stay, where all
    that was kept of them is there."""
    # Before anything is measured, and compared after: a file may be replaced in between.
    digests = benchmark.data_digests(benchmark.dataset.items)
    jobs = item_jobs(benchmark.dataset.items)
    kept = table.table()
    with GrowingTable(table, kept, _are_valid(kept, ruler, digests, has)) as growing:
        n_kept = len(kept)
        del kept
        missing = [rest for group in jobs if (rest := [i for i in group if i.id not in growing])]
        # A failure changes the rows of the subject's other scenes too, see `_with_siblings`.
        siblings = {item.id: group for group in jobs for item in group}
        for group in jobs:
            if all(item.id in growing for item in group):
                listen.subject(group[0].subject)
        # A generator: only as many faces are in memory as workers ask for.
        predicted = (predictions(group, benchmark, folder.ledger) for group in missing)
        measure = measure_jobs if is_connected() else measure_here
        for measured in measure(predicted, ruler):
            group = siblings[measured[0].result.item]
            sound = list(_check_unchanged(measured, group, benchmark, digests, ruler))
            for one in sound:
                keep(one)
            new = [one.result for one in sound]
            others = growing.find(item.id for item in group)
            growing.add([*_with_siblings(others, new), *new])
            publish(folder.root)
            listen.subject(new[0].subject)
        if not missing and n_kept > len(growing):
            growing.write()  # without items that are gone from the set


def item_jobs(items: Sequence[Item]) -> list[list[Item]]:
    """Items by subject and scans, so that the scans of a subject are read once."""
    groups: dict[object, list[Item]] = {}
    for item in items:
        groups.setdefault((item.subject, item.scans or item.scan_reason), []).append(item)
    return list(groups.values())


def _are_valid(
    table: Any, ruler: Ruler, digests: dict[str, str], has: Callable[[str], bool]
) -> list[bool]:
    """Of each row whether it is scored, of files as they were and of the same fixed scale, and
    nothing behind it was removed."""
    scale = ruler.fixed_scale
    names = ("item", "status", "data_digest", "fixed_scale")
    return [
        # Failures are tried again: what was missing may have come.
        status == SCORED
        and digests.get(item) == digest
        and (fixed == scale or (scale is None and fixed != fixed))
        and has(item)
        for item, status, digest, fixed in zip(*(table[n].to_pylist() for n in names), strict=True)
    ]


def _with_siblings(known: Sequence[Result], new: Sequence[Result]) -> Iterator[Result]:
    """Earlier results of a subject, as they were had all of its items been measured at once."""
    # The mean face stands beside every item of a subject of whom one has no number.
    whole = all(result.scored for result in new)
    for result in known:
        yield replace(result, mean_face_mm=math.nan if whole else new[0].mean_face_mm)


def _check_unchanged(
    measured: Sequence[Measured],
    group: Sequence[Item],
    benchmark: Benchmark,
    digests: dict[str, str],
    ruler: Ruler,
) -> Iterator[Measured]:
    """Results with the digest of their files; failed where a file changed meanwhile.

    Args:
        measured: of some items of a group.
        group: of `item_jobs`.
        benchmark, digests, ruler: of the run.
    """
    # Of the group, not of the set: it is asked for each of a hundred thousand subjects.
    items = {item.id: item for item in group}
    mine = [items[one.result.item] for one in measured]
    found = benchmark.data_digests(mine)
    for one, item in zip(measured, mine, strict=True):
        sound = one
        if found[item.id] != digests[item.id]:
            facts = Prediction(None, frames=one.result.frames, faces=one.result.faces)
            sound = failed(item, facts, CHANGED, ruler)
        yield replace(sound, result=replace(sound.result, data_digest=digests[item.id]))


def predictions(items: Sequence[Item], benchmark: Benchmark, ledger: Ledger) -> Job:
    """What the method made of each item, or why it made nothing."""
    return [(item, _prediction(item, benchmark, ledger)) for item in items]


def measure_jobs(jobs: Iterable[Job], ruler: Ruler) -> Iterator[list[Measured]]:
    """The results of each job as they are finished, in no particular order.

    Connected to Ray; on a cluster of several machines the files must be on a disk that all of them
    see. Those of a lost worker say so.
    """
    for job, done in in_tasks(partial(measure_job, ruler=ruler), jobs):
        # `measure_job` raises nothing itself: what comes here is Ray's.
        if isinstance(done, Exception):
            yield failed_job(job, f"its worker was lost: {type(done).__name__}", ruler)
        else:
            yield done


def measure_here(jobs: Iterable[Job], ruler: Ruler) -> Iterator[list[Measured]]:
    """The same in this process, with the numbers that a worker would have."""
    for job in jobs:
        # Workers compute with one thread: sums in another order end in other last digits.
        with threadpool_limits(1):
            done = measure_job(job, ruler)
        yield done


def _prediction(item: Item, benchmark: Benchmark, ledger: Ledger) -> Prediction:
    method = benchmark.method
    if isinstance(method, HoldsMeshes):
        return _from_file(method, item, benchmark.prediction_unit != ANY_UNIT)
    if item.clip is None:
        return Prediction(None, item.reason or "it has no clip")
    return _from_clip(method, ledger, item.clip)


def _from_clip(method: Method, ledger: Ledger, clip: Clip) -> Prediction:
    total = ledger.total(clip.id)
    reasons, read, faces = list(total.reasons), total.frames, total.faces
    if total.others:
        # From 1, as players and the report count frames.
        others = [(first + 1, last + 1, count) for first, last, count in total.others]
        reasons.append(f"other faces are left out: {describe_others(others)}")
    note = "; ".join(reasons)
    # A mean of some of the frames is another number, and would not be noticed.
    if not total.finished:
        return Prediction(None, note or UNFINISHED, read, faces)
    if not faces:
        return Prediction(
            None, note or f"no face was found in any of {count_of(read, 'frame')}", read, 0
        )
    try:
        mesh = method.mesh(total.sum / faces)
        # The mean of the decoded vectors, where those were added up: only a linear decoder makes
        # the same of the mean vector; `reduction.average = meshes` is for others.
        if total.vertices is not None:
            mesh = replace(mesh, vertices=(total.vertices / faces).reshape(-1, 3))
    except Exception as error:
        return Prediction(None, error_line(error), read, faces)
    return Prediction(mesh, note, read, faces, vectors=total.vectors)


def _from_file(method: HoldsMeshes, item: Item, unit_known: bool) -> Prediction:
    try:
        mesh, landmarks = method.mesh_for(item), method.landmarks_for(item)
        note = rounding_note(mesh)  # of an outside method it may have no vertices at all
    except Exception as error:
        return Prediction(None, error_line(error))
    return Prediction(mesh, note, landmarks=landmarks, unit_known=unit_known)
