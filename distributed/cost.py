"""Cost estimate of a run, from a minute's sample of the same job."""

from __future__ import annotations

import math
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..bench.dataset.interface import Clip
from ..bench.method.clip_faces import cut_faces, describe_chunk, face_locator
from ..bench.method.interface import HoldsMeshes, Method
from ..bench.scoring.measure import measure_job
from ..bench.scoring.target import Prediction
from ..errors import FacebenchError
from ..recon.face.crop import Box
from ..recon.mesh import Mesh
from ..recon.video.decode import CHUNK_FRAMES, estimate_frames, read_chunks
from ..results.run.folder import RunFolder
from .benchmark import Benchmark, item_jobs, predictions
from .frames import FrameJob

STAGES = ("decode videos", "find faces", "encode faces", "keep rows", "measure subjects")
READ, FIND, ENCODE, KEEP, MEASURE = STAGES

START_SECONDS = 15.0
"""Ray and PyTorch in each of its workers start in 10 to 20 s, whatever the set."""

DRIVER_BYTES = 0.8e9
"""Memory of the command itself, whatever the set (`docs/scale.md`)."""


@dataclass
class Sample:
    """What was measured of a job.

    Attributes:
        seconds: by stage, processor seconds.
        frames, faces, chunks: that were read, found and kept.
        by_clip: processor seconds a frame of every clip that was read, over all stages.
        by_item: processor seconds of every item that was measured.
        row_bytes, item_bytes: on disk, of a chunk's row and of an item's files.
        memory_bytes: the most that this process has held.
        meshes: mm, of the mean vector of every chunk in which faces were found.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    frames: int = 0
    faces: int = 0
    chunks: int = 0
    by_clip: list[float] = field(default_factory=list)
    by_item: list[float] = field(default_factory=list)
    row_bytes: float = 0.0
    item_bytes: float = 0.0
    memory_bytes: float = 0.0
    meshes: list[Mesh] = field(default_factory=list)


def measure_sample(benchmark: Benchmark, seconds: float) -> Sample:
    """Do as much of a run as fits into so many seconds, in a folder that is thrown away.

    Two thirds go to the first chunks of clips from all over the set, one third to its items, on
    which the faces of those chunks are measured, whosever they are. At least one of each is done,
    however long it takes.

    Raises:
        FacebenchError: nothing could be read, or nothing measured.
    """
    sample = Sample()
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(Path(name))
        if benchmark.job is not None:
            _sample_clips(benchmark, benchmark.job, folder, sample, seconds * 2 / 3)
        _sample_items(benchmark, folder, sample, seconds / 3)
        sample.row_bytes = _bytes_below(folder.root / "chunks.parquet") / max(1, sample.chunks)
        kept = sum(_bytes_below(folder.root / part) for part in ("meshes", "scans", "distances"))
        sample.item_bytes = kept / max(1, len(sample.by_item))
    # Kilobytes on Linux, where clusters are.
    sample.memory_bytes = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return sample


def _sample_clips(
    benchmark: Benchmark, job: FrameJob, folder: RunFolder, sample: Sample, seconds: float
) -> None:
    method, end = benchmark.method, time.perf_counter() + seconds
    assert not isinstance(method, HoldsMeshes)
    clips = list(_van_der_corput(benchmark.clips))
    # Once for nothing: what only a process's first chunk costs is no part of the others.
    for clip in clips[:1]:
        _sample_chunk(clip, job, method, folder, Sample())
    for clip in clips:
        before, frames = sum(sample.seconds.values()), sample.frames
        _sample_chunk(clip, job, method, folder, sample)
        if sample.frames > frames:
            spent = sum(sample.seconds.values()) - before
            sample.by_clip.append(spent / (sample.frames - frames))
        if time.perf_counter() > end:
            break
    if not sample.frames:
        raise FacebenchError("no frame of any clip could be read", "nothing can be foretold")


def _sample_chunk(
    clip: Clip, job: FrameJob, method: Method, folder: RunFolder, sample: Sample
) -> None:
    """The first chunk of a clip as `face_chunks` and `describe_chunk` treat it, by the clock."""
    clock = _Clock(sample.seconds)
    locate = face_locator(clip, job.detector, job.tracking)

    def find(number: int, frame: NDArray[np.uint8], last: Box | None) -> Box | None:
        with clock(FIND):
            return locate(number, frame, last)

    limit = min(CHUNK_FRAMES, job.limit or CHUNK_FRAMES)
    with clock(READ):
        chunk = next(read_chunks(clip.path, clip.id, limit))
        start = time.perf_counter()
        row, crops = cut_faces(chunk, find, job.crop_size, start, clip.boxes is None)
    with clock(ENCODE):
        row = describe_chunk(method, row, crops, job.average)
    with clock(KEEP):
        folder.ledger.write(row, "", 0.0)
    sample.frames += row.frames
    sample.faces += row.faces
    sample.chunks += 1
    if row.faces:
        parts = 1 if row.segments is None else len(row.segments)
        vector = row.sum.reshape(parts, -1).sum(axis=0) / row.faces
        sample.meshes.append(method.mesh(vector))


class _Clock:
    """Processor seconds by stage; a stage inside another is not counted twice."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds, self._open, self._next = seconds, [""], ""
        self._since = time.process_time()

    def __call__(self, stage: str) -> _Clock:
        self._next = stage
        return self

    def __enter__(self) -> None:
        self._note()
        self._open.append(self._next)

    def __exit__(self, *_: object) -> None:
        self._note()
        self._open.pop()

    def _note(self) -> None:
        now = time.process_time()
        if self._open[-1]:
            self._seconds[self._open[-1]] += now - self._since
        self._since = now


def _sample_items(benchmark: Benchmark, folder: RunFolder, sample: Sample, seconds: float) -> None:
    end, ruler = time.perf_counter() + seconds, benchmark.ruler
    frames = not isinstance(benchmark.method, HoldsMeshes)
    reason = "there is none"
    faces = _faces(sample.meshes or [benchmark.mean_face])
    for group in _van_der_corput(item_jobs(benchmark.dataset.items)):
        job = predictions(group, benchmark, folder.ledger)
        # Without vectors: a frame's own error, where the protocol wants it, costs as much as one.
        job = [(item, next(faces)) for item in group] if frames else job
        start = time.process_time()
        measured = measure_job(job, ruler)
        for one in measured:
            folder.keep_arrays(one)
        spent = time.process_time() - start
        # What has no scan costs nothing and is no sample of the others.
        if any(one.result.scored for one in measured):
            sample.by_item += [spent / len(group)] * len(group)
        else:
            reason = str(measured[0].result.reason)
        if time.perf_counter() > end:
            break
    if not sample.by_item:
        raise FacebenchError(f"no item could be measured: {reason}", "nothing can be foretold")
    sample.seconds[MEASURE] = sum(sample.by_item)


def _faces(meshes: Sequence[Mesh]) -> Iterator[Prediction]:
    """Predictions without end, no two alike: a face that was measured is remembered."""
    for turn in count():
        yield from (Prediction(mesh).resize(1.0 + turn / 1000) for mesh in meshes)


Thing = TypeVar("Thing")


def _van_der_corput(things: Sequence[Thing]) -> Iterator[Thing]:
    """All items in van der Corput's order: any first few are spread over the whole sequence."""
    width = max(1, (len(things) - 1).bit_length())
    order = (int(f"{number:0{width}b}"[::-1], 2) for number in range(1 << width))
    return (things[index] for index in order if index < len(things))


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def forecast(benchmark: Benchmark, sample: Sample, cores: int, gpus: int) -> dict[str, Any]:
    """What the whole set costs, by what a sample of it cost.

    Args:
        benchmark: the job.
        sample: measured on a machine like those that will do it.
        cores, gpus: that will do it. With a GPU the network is taken off the cores; what it costs
            there is known only where the sample was taken on one.

    Returns:
        Plain values: `frames`, `chunks`, `items`; `core_seconds` in all and by `stages`; `seconds`
        by the clock, of which `start_seconds` are Ray's start, `error` of it as a share (two
        standard errors, None where fewer than three clips or items were seen); `memory_bytes`,
        `disk_bytes`; `bottleneck`, `advice`.
    """
    job, most = benchmark.job, math.inf
    if job is not None and job.limit is not None:
        most = job.limit
    lengths = [min(estimate_frames(clip.path), most) for clip in benchmark.clips]
    frames, items = int(sum(lengths)), len(benchmark.dataset.items)
    chunks = sum(math.ceil(length / CHUNK_FRAMES) for length in lengths)
    a_frame = {s: v / max(1, sample.frames) for s, v in sample.seconds.items() if s != MEASURE}
    stages = {stage: frames * value for stage, value in a_frame.items()}
    stages[MEASURE] = _measuring_seconds(benchmark, sample, frames)
    # Side by side: the slowest of them decides. One driver keeps the rows, one task reads a clip.
    readers = (stages[READ] + stages[FIND] + (0.0 if gpus else stages[ENCODE])) / cores
    streams = {
        "cores": readers,
        "driver": stages[KEEP],
        "longest clip": max(lengths, default=0) * (a_frame[READ] + a_frame[FIND]),
    }
    slowest = max(streams, key=lambda name: streams[name])
    measuring = stages[MEASURE] / min(cores, max(1, len(item_jobs(benchmark.dataset.items))))
    shared = [stage for stage in STAGES if stage != KEEP and not (gpus and stage == ENCODE)]
    bottleneck = max(shared, key=lambda stage: stages[stage])
    if slowest != "cores" and streams[slowest] > measuring:
        bottleneck = slowest
    spread = [(streams[slowest], sample.by_clip), (measuring, sample.by_item)]
    total = START_SECONDS + streams[slowest] + measuring
    return {
        "frames": frames,
        "chunks": chunks,
        "items": items,
        "cores": cores,
        "gpus": gpus,
        "core_seconds": sum(stages.values()),
        "stages": stages,
        "seconds": total,
        "start_seconds": START_SECONDS,
        "error": _error([part for part in spread if part[0] > 0], total),
        # Readers beside encoders, each with the package's imports.
        "memory_bytes": DRIVER_BYTES + 2 * cores * sample.memory_bytes,
        "disk_bytes": chunks * sample.row_bytes + items * sample.item_bytes,
        "bottleneck": bottleneck,
        "advice": _advice(bottleneck, job),
        "sampled": {"frames": sample.frames, "items": len(sample.by_item)},
    }


def _measuring_seconds(benchmark: Benchmark, sample: Sample, frames: int) -> float:
    """Of one core that measures the whole set."""
    an_item = float(np.mean(sample.by_item)) if sample.by_item else 0.0
    faces = frames * sample.faces / max(1, sample.frames)
    each = benchmark.protocol.reduction.average == "errors"
    return benchmark.passes * (faces if each else len(benchmark.dataset.items)) * an_item


def _error(parts: Sequence[tuple[float, Sequence[float]]], total: float) -> float | None:
    """Two standard errors of a sum of parts, each by the scatter of its samples, as a share."""
    if any(len(samples) < 3 for _, samples in parts):
        return None
    shares = [np.std(v, ddof=1) / np.mean(v) / math.sqrt(len(v)) * part for part, v in parts]
    return float(2 * np.linalg.norm(shares) / total)


def _advice(bottleneck: str, job: FrameJob | None) -> str:
    if bottleneck == FIND and job is not None and not job.tracking:
        return "follow faces with --tracking, or lay box files beside the videos"
    return {
        READ: "more cores; MPEG-4 costs a quarter of Motion JPEG",
        FIND: "more cores, or box files beside the videos",
        ENCODE: "a GPU, or more cores",
        MEASURE: "more cores, up to one a subject",
        "driver": "more cores or GPUs bring nothing: one process keeps all rows",
        "longest clip": "more cores bring nothing: cut it into several clips",
    }[bottleneck]
