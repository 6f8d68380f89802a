"""Photographs to training shards, by Ray Data or, few, in this process; what is done is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.data
import torch

from ..errors import FacebenchError
from ..recon.files.publishing import publish
from ..recon.files.stores import address_of
from ..recon.files.writing import lock_folder
from ..recon.preparation.candidates import LIMITS, PreparationSettings, find_faces
from ..recon.preparation.folder import (
    Part,
    PreparedFolder,
    WorkFolder,
    chunks,
    part_of,
    reason_counts,
    remaining_photographs,
)
from ..recon.preparation.labelling import NONE, NetworkChoice, label_faces
from ..recon.preparation.listing import Listing, Photograph
from ..recon.preparation.rows import WHOLE_PHOTOGRAPH, Reason
from ..recon.preparation.selection import names, select
from ..recon.vision.detect import make_detector
from ..recon.weights.catalogue import portable_choice
from .cluster import one_thread_each, ray_connection, total
from .frames import (
    READER_CPUS,
    actor_resources,
    one_actor_each,
    one_thread,
    raise_fault,
    refusal,
    set_streaming,
    stream_needs,
)
from .nodes import expected_code
from .timeout import cluster_timeout

FEW_PHOTOGRAPHS = 100
"""Up to so many are prepared in this process: Ray and its workers take many seconds to start."""


@dataclass(frozen=True)
class PreparationJob:
    """What `facebench prepare` was asked to do.

    Attributes:
        listing: the photographs.
        out: the folder of the result, which holds the work as well.
        settings: of the crops and of quality.
        networks: that label faces without labels.
        radius: within which faces are near-duplicates, bits; negative keeps them.
        folders_are_subjects: the folder above a photograph names its person.
        workers: processes with networks; None for one a GPU, or one a processor.
    """

    listing: Listing
    out: Path
    settings: PreparationSettings
    networks: NetworkChoice
    radius: int
    folders_are_subjects: bool = False
    workers: int | None = None

    def plan(self) -> dict[str, Any]:
        """What decides the row of every face, as folders keep it."""
        settings = asdict(self.settings)
        limits = {name: settings.pop(name) for name in LIMITS}
        return settings | {"limits": limits} | self.networks.identity()

    def key(self) -> dict[str, Any]:
        """What decides the whole result."""
        return {
            "inputs_digest": self.listing.digest,
            "plan": self.plan(),
            "duplicate_radius": self.radius,
            "folders_are_subjects": self.folders_are_subjects,
        }


def prepare(
    job: PreparationJob,
    cluster: bool,
    begin: Callable[[int, int], None],
    advance: Callable[[Part], None],
) -> dict[str, Any]:
    """Prepare what is not prepared yet and write the shards; the summary.

    A chunk that is done is kept whatever happens next. The result depends on photographs and
    settings alone, not on the order in which chunks are finished or on how often it was
    interrupted.

    Args:
        job: what to prepare.
        cluster: use a running Ray cluster.
        begin: called with the photographs there are and those done before.
        advance: called with each chunk that is done and kept.

    Raises:
        FacebenchError: the folder holds work of another kind, weights are missing, or Ray does
            not start.
    """
    # Of an object store's folder what lies here counts only once it is fetched.
    if not address_of(job.out) and (summary := _finished(job)):
        return summary  # nothing is touched, not even the lock
    with lock_folder(job.out, "prepare", ("work/plan.json", "summary.json")):
        return _finished(job) or _prepare(job, cluster, begin, advance)


def _finished(job: PreparationJob) -> dict[str, Any] | None:
    """The summary of this very preparation, where it is done."""
    summary = PreparedFolder(job.out).summary()
    return summary if summary and job.key().items() <= summary.items() else None


def _prepare(
    job: PreparationJob,
    cluster: bool,
    begin: Callable[[int, int], None],
    advance: Callable[[Part], None],
) -> dict[str, Any]:
    prepared, work = PreparedFolder(job.out), WorkFolder(job.out / "work")
    photographs = job.listing.photographs
    alone = [one.source for one in photographs if "/" not in one.source]
    if job.folders_are_subjects and alone:
        raise FacebenchError(
            f"{alone[0]}: no folder names the person of a file that is given by itself",
            "give the folder that holds the people's folders",
        )
    todo = remaining_photographs(photographs, work.index(photographs))
    needed = _check_networks(job.networks, todo)
    work.claim(job.plan())
    begin(len(photographs), len(photographs) - len(todo))
    needing = replace(job, networks=needed)
    few = not cluster and job.workers is None and len(todo) <= FEW_PHOTOGRAPHS
    if few or not todo:
        _keep_parts(label_here(todo, needing), work, advance)
    else:
        with ray_connection(cluster):
            _keep_parts(label_photographs(todo, needing), work, advance)
    return _assemble(job, work, prepared)


def _keep_parts(parts: Iterator[Part], work: WorkFolder, advance: Callable[[Part], None]) -> None:
    for part in parts:
        work.write(part)
        publish(work.folder)
        advance(part)


def label_here(photographs: Sequence[Photograph], job: PreparationJob) -> Iterator[Part]:
    """The rows of chunks of photographs, one after the other, as workers would give them."""
    if not photographs:
        return
    finder = _Finder(job.settings, job.networks.detector)
    labeller = _Labeller(job.settings, job.networks, "cuda" if torch.cuda.is_available() else "cpu")
    with one_thread():
        for chunk in chunks(photographs):
            yield Part(**labeller(finder({"photographs": chunk})))


def label_photographs(photographs: Sequence[Photograph], job: PreparationJob) -> Iterator[Part]:
    """The rows of chunks of photographs as they are finished, in no particular order.

    Connected to Ray; on a cluster the photographs and weights must be on a disk that all machines
    see. One task a chunk decodes and finds faces, `workers` actors label and judge them, and a
    chunk of patches is a block of its own, so that few are under way at a time.

    Raises:
        FacebenchError: a node holds other code than this process.
    """
    code = expected_code()
    workers = job.workers or one_actor_each()
    device = "cuda" if total("GPU") else "cpu"
    rows = [{"photographs": chunk} for chunk in chunks(photographs)]
    blocks = ray.data.from_items(rows, override_num_blocks=len(rows))
    set_streaming(blocks.context)
    found = blocks.map(
        _Finder,
        fn_constructor_args=[job.settings, job.networks.detector, code],
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=max(1, int(total("CPU")))),
        num_cpus=READER_CPUS,
        **one_thread_each(),
    )
    labelled = found.map(
        _Labeller,
        fn_constructor_args=[job.settings, job.networks, device, code],
        compute=ray.data.ActorPoolStrategy(size=workers),
        **one_thread_each(),
        **actor_resources(workers),
    )
    with cluster_timeout(stream_needs(workers)) as heartbeat:
        for row in labelled.iter_rows():
            heartbeat()
            raise_fault(row)
            yield Part(**row)


class _Finder:
    """Reads photographs and finds faces; holds the detector, which is slow to build."""

    def __init__(self, settings: PreparationSettings, detector: str, code: str = "") -> None:
        self.refusal = refusal(code)
        self.settings = settings
        self.detector = make_detector(detector)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.refusal:
            return self.refusal
        chunk: Sequence[Photograph] = row["photographs"]
        return {"faces": [find_faces(item, self.detector, self.settings) for item in chunk]}


class _Labeller:
    """Holds the networks; one per worker process."""

    def __init__(
        self, settings: PreparationSettings, choice: NetworkChoice, device: str, code: str = ""
    ) -> None:
        self.refusal = refusal(code)
        self.settings = settings
        self.networks = choice.build(device)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.refusal or "fault" in row:
            return self.refusal or row
        faces = label_faces(row["faces"], *self.networks, self.settings)
        return vars(part_of(faces))


def _check_networks(choice: NetworkChoice, photographs: Sequence[Photograph]) -> NetworkChoice:
    """The networks these photographs need, loaded once, so that bad weights are refused early."""
    labelled = all(item.landmarks for item in photographs)
    masked = all(item.mask for item in photographs)
    needed = NetworkChoice(
        NONE if labelled else portable_choice(choice.landmarks),
        NONE if masked else choice.parser,
        portable_choice(choice.detector),
    )
    # Here and not first in a worker, which would tell of it once a chunk.
    if not labelled:
        make_detector(needed.detector)
    needed.build()
    return needed


def _assemble(job: PreparationJob, work: WorkFolder, prepared: PreparedFolder) -> dict[str, Any]:
    photographs = job.listing.photographs
    index = work.index(photographs)
    kept, left_out = select(index, job.radius)
    lost = len(remaining_photographs(photographs, index))
    dropped = [*left_out, *_unreadable(job.listing)]
    summary = {
        "photographs": len(photographs),
        "faces": len(kept),
        "without_mask": sum(not row["masked"] for row in kept),
        "dropped": reason_counts(dropped),
        "lost": lost,
        # Without the key the same command does not take this for the whole, and goes on.
        **(job.key() if not lost else {}),
    }
    # A generator: the pictures of all faces together need not fit into memory.
    named = (row | names(row, job.folders_are_subjects) for row in work.read(kept))
    prepared.write(named, len(kept), dropped, summary, job.settings.image_size)
    return prepared.summary() or summary


def _unreadable(listing: Listing) -> list[Mapping[str, Any]]:
    """Rows of archives whose photographs nobody knows."""
    return [
        {
            "source": name,
            "face": WHOLE_PHOTOGRAPH,
            "sha256": "",
            "reason": str(Reason.ARCHIVE),
            "detail": rejected.detail,
        }
        for name, rejected in sorted(listing.unreadable.items())
    ]
