"""Clips to sums of face vectors, streamed through Ray Data: frames never reach the driver."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import ray
import ray.data
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..bench.dataset.interface import Clip
from ..bench.method.clip_faces import ChunkRow, Crops, describe_chunk, face_chunks
from ..bench.method.interface import MethodOptions
from ..bench.method.registry import build_method
from ..errors import FacebenchError, error_line
from ..recon.face.tracks import WIDTH
from ..recon.video.decode import CHUNK_FRAMES
from .cluster import be_quiet, one_thread_each, total
from .nodes import SAME_CODE, expected_code, other_code
from .timeout import Needs, cluster_timeout

READER_CPUS = 0.5
"""Share of a processor that the scheduler counts for a task that reads, decodes and crops."""


def one_actor_each() -> int:
    """As many actors as there are GPUs, or processors where there is none."""
    return max(1, int(total("GPU") or total("CPU")))


def actor_resources(workers: int) -> dict[str, float]:
    """The actors take no more than half of the processors, or the readers would starve.

    Where both stages ask for the same, Ray Data runs them in one process; they differ, and reading
    overlaps with describing, on a GPU and with more workers than processors.
    """
    cpus = min(READER_CPUS, total("CPU") / (2 * workers))
    gpus = total("GPU")
    return {"num_cpus": cpus} | ({"num_gpus": min(1.0, gpus / workers)} if gpus else {})


def stream_needs(workers: int) -> Needs:
    """What keeps a stream going: with less its actors leave nothing to the readers."""
    actor = actor_resources(workers)
    return Needs(workers * actor["num_cpus"] + READER_CPUS, actor.get("num_gpus", 0.0))


def set_streaming(context: ray.data.DataContext, block_bytes: int = 1) -> None:
    """Set one block per row, or per some bytes; lost blocks do not end the stream; no printing."""
    context.target_max_block_size = block_bytes
    # A block that is lost with its worker is read by the next command; the stream goes on.
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.print_on_execution_start = False
    # Here too: who connected to Ray may not have been this package.
    be_quiet()


WORKERS_A_CHUNK, GPU_WORKERS, MOST_CHUNKS = 64, 32, 16
"""Chunks of a block: one for so many workers, of which a GPU counts as many, and at most."""


def bytes_of_block(workers: int, crop_size: int) -> int:
    """How large a block may be before the next begins.

    A block costs this process 5 ms, whatever is in it, and a lost one its chunks. Few workers
    give one for every chunk; many would bring more than the 200 blocks a second that it can take.
    """
    worth = workers * (GPU_WORKERS if total("GPU") else 1)
    chunks = min(MOST_CHUNKS, int(worth / WORKERS_A_CHUNK))
    return 1 + max(0, chunks - 1) * CHUNK_FRAMES * 3 * crop_size**2


_TRACKED = ("segments", "changes")
_ARRAYS = {
    "sum": np.float64,
    "vertices": np.float64,
    "vectors": np.float32,
    **dict.fromkeys(_TRACKED, np.float64),
}
"""Array fields of a chunk's row."""


NOT_THERE = "what is done is kept; 'facebench doctor --cluster --shared PATH' tells what nodes lack"

CLIPS_AT_A_TIME = 1000
"""Clips of one stream. Ray hands all of its clips to the task of each, so that one stream of many
would cost the square of their number: with 30,000 half a second of a processor for each."""


@dataclass(frozen=True)
class ClipTask:
    """One clip to read.

    Attributes:
        clip: where it is.
        done: its chunks that the ledger has already; they are not described again.
    """

    clip: Clip
    done: frozenset[int] = frozenset()


@dataclass(frozen=True)
class FrameJob:
    """How clips are read and described.

    Attributes:
        method: its name in the registry.
        options: what each worker builds it from.
        crop_size: side of the crops in px.
        limit: frames read of each clip at most, or None.
        workers: processes that describe faces, each with one thread of its own; None stands for
            one a GPU, or one a processor where there is none.
        average: what the protocol averages over frames, which decides what a row keeps.
        detector: finds the face where no boxes lie beside a clip; a name or file that every machine
            sees.
        tracking: whether it follows faces from frame to frame.
        code: of the workers, see `expected_code`.
    """

    method: str
    options: MethodOptions
    crop_size: int
    limit: int | None
    workers: int | None
    average: Literal["parameters", "meshes", "errors"] = "parameters"
    detector: str = "embedded"
    tracking: bool = False
    code: str = ""


def face_stream(task: ClipTask, job: FrameJob) -> Iterator[tuple[ChunkRow, Crops]]:
    """The faces of a clip that are still to be described."""
    return face_chunks(task.clip, job.crop_size, job.limit, task.done, job.detector, job.tracking)


def describe_clips(tasks: Sequence[ClipTask], job: FrameJob) -> Iterator[ChunkRow]:
    """Rows of all chunks that are not done, as they are finished, in no particular order.

    One task a clip decodes and cuts out faces; `workers` actors describe them. A block is one chunk
    of crops, or few, so that few are under way at a time, whatever the length of the clips. A
    worker that dies takes its rows with it and nothing else.

    Raises:
        FacebenchError: a node cannot build the method, for it lacks the weights or room for them,
            or holds other code than this process.
    """
    if tasks:
        # Only now is it known whether there are GPUs: the driver may have none itself.
        job = _on_this_cluster(job)
    for start in range(0, len(tasks), CLIPS_AT_A_TIME):
        yield from _stream(tasks[start : start + CLIPS_AT_A_TIME], job)


def describe_here(tasks: Sequence[ClipTask], job: FrameJob) -> Iterator[ChunkRow]:
    """The same in this process, clip after clip, with the numbers that a worker would have."""
    if not tasks:
        return
    method = build_method(job.method, job.options)
    with one_thread():
        for task in tasks:
            for row, crops in face_stream(task, job):
                yield describe_chunk(method, row, crops, job.average)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute as a worker in a process of its own; then with as many threads as before."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 1
    with threadpool_limits(1):
        _compute_alike_everywhere()
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)


def _stream(tasks: Sequence[ClipTask], job: FrameJob) -> Iterator[ChunkRow]:
    workers = job.workers or one_actor_each()
    # Not `range`: Ray reads it in tasks of a whole processor, which a node of one cannot spare.
    numbers = [{"id": number} for number in range(len(tasks))]
    blocks = ray.data.from_items(numbers, override_num_blocks=len(tasks))
    set_streaming(blocks.context, bytes_of_block(workers, job.crop_size))
    faces = blocks.flat_map(
        _crop, fn_args=[tuple(tasks), job], num_cpus=READER_CPUS, **one_thread_each()
    )
    rows = faces.map(
        _Describer,
        fn_constructor_args=[job],
        compute=ray.data.ActorPoolStrategy(size=workers),
        **one_thread_each(),
        **actor_resources(workers),
    )
    with cluster_timeout(stream_needs(workers)) as heartbeat:
        for row in rows.iter_rows():
            heartbeat()
            raise_fault(row)
            yield _unpack_row(row)


def refusal(code: str) -> dict[str, str]:
    """The row that says that a node's code is not the expected; empty where it is."""
    fault = other_code(code)
    return {"fault": fault, "hint": SAME_CODE} if fault else {}


def raise_fault(row: Mapping[str, Any]) -> None:
    """Raise the fault that a node reports in place of a row.

    Raises:
        FacebenchError: it does.
    """
    if "fault" in row:
        raise FacebenchError(row["fault"], row["hint"])


class _Describer:
    """Holds the method; one per worker process."""

    def __init__(self, job: FrameJob) -> None:
        self.fault = refusal(job.code)
        try:
            if not self.fault:
                self.method = build_method(job.method, job.options)
        except (FacebenchError, OSError) as error:
            # Ray would try again and again to start it, and not say what is wrong.
            told = error.message if isinstance(error, FacebenchError) else error_line(error)
            node = ray.util.get_node_ip_address()
            self.fault = {"fault": f"node {node}: {told}", "hint": NOT_THERE}
        # After the method is built, which is what imports PyTorch.
        _compute_alike_everywhere()
        self.shape = (-1, job.crop_size, job.crop_size, 3)
        self.average = job.average

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.fault or "fault" in row:
            return self.fault or row
        crops = np.frombuffer(row["crops"], np.uint8).reshape(self.shape)
        found = _unpack_row({name: value for name, value in row.items() if name != "crops"})
        return _pack_row(describe_chunk(self.method, found, crops, self.average))


def _pack_row(row: ChunkRow) -> dict[str, Any]:
    """A row whose arrays are bytes, none for None: Ray Data would make tensors of their own kind
    of them, one shape a column."""
    return {**vars(row), **{name: _bytes(getattr(row, name)) for name in _ARRAYS}}


def _unpack_row(row: dict[str, Any]) -> ChunkRow:
    arrays = {name: np.frombuffer(row[name], dtype) for name, dtype in _ARRAYS.items()}
    vertices, vectors = arrays["vertices"], arrays["vectors"]
    kept = {
        "sum": arrays["sum"],
        "vertices": vertices if len(vertices) else None,
        "vectors": vectors.reshape(row["faces"], -1) if len(vectors) else None,
        **{name: _table(row[name], name) for name in _TRACKED},
    }
    return ChunkRow(**{**row, **kept})


def _table(content: bytes, name: str) -> NDArray[np.float64] | None:
    """Segments or changes of their bytes; none for None."""
    width = WIDTH if name == "segments" else 2
    return np.frombuffer(content, np.float64).reshape(-1, width) if content else None


def _bytes(values: NDArray[np.floating] | None) -> bytes:
    return b"" if values is None else values.tobytes()


def _crop(row: dict[str, Any], tasks: tuple[ClipTask, ...], job: FrameJob) -> Iterator[Any]:
    if refused := refusal(job.code):
        yield refused
        return
    for found, crops in face_stream(tasks[row["id"]], job):
        yield {**_pack_row(found), "crops": crops.tobytes()}


def _compute_alike_everywhere() -> None:
    """One thread, and no choice of algorithm by timing: a chunk's sum is the same on every worker.

    A method without PyTorch shall not pay for importing it.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
        # Else the same chunk described twice differs in its last digits, and so would a resumed
        # run.
        torch.backends.cudnn.deterministic = True


def _on_this_cluster(job: FrameJob) -> FrameJob:
    """Networks run on GPUs where the cluster has them."""
    device = "cuda" if total("GPU") else job.options.device
    options = replace(job.options, device=device)
    return replace(job, options=options, code=expected_code())
