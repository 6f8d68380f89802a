"""From shards to batches, in an order that follows from the seed and the step alone.

The order is shuffled, yet read from disk in pieces and never all at once; batches are made ahead of
the network by a thread of this process or by processes of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from ...errors import FacebenchError
from ..losses.multilevel import Supervision
from .shards import POOL, Sample
from .workers import SINGLE_PROCESS, ProcessGroup

Transform = Callable[[Sample, np.random.Generator], Sample]
"""A random change of a photograph."""

Join = Callable[[Sequence[Sample], Sequence[int], Sequence[int], int], Any]
"""From samples, their rows of the data and places in the batch of all workers, and step."""

_AHEAD = 2
"""Batches kept ready beside those being made."""


class Photographs(Protocol):
    """Labelled photographs by number."""

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        ...

    def __len__(self) -> int: ...

    @property
    def groups(self) -> Sequence[int]:
        """Rows of each piece that is read from disk at once."""
        ...

    def sample(self, row: int) -> Sample:
        """One photograph; a FacebenchError where it cannot be read."""
        ...


def rows_of_step(groups: Sequence[int], batch_size: int, step: int, seed: int) -> NDArray[np.int64]:
    """Rows of the global batch of a step: epoch after epoch, each in an order of its own.

    An epoch takes the groups in random order and shuffles the rows of so many neighbours as make up
    `POOL`, so that only these groups are needed at a time. Fewer rows are shuffled as one.

    Args:
        groups: rows of each piece that is read at once.
        batch_size: of all workers together.
        step: from 0.
        seed: of all orders.
    """
    rows = sum(groups)
    # Counted over all epochs: a batch may take the end of one and the start of the next.
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // rows
    orders = {int(e): epoch_order(tuple(groups), seed, int(e), POOL) for e in np.unique(epochs)}
    return np.array([orders[int(e)][p % rows] for e, p in zip(epochs, positions, strict=True)])


@lru_cache(maxsize=4)
def epoch_order(groups: tuple[int, ...], seed: int, epoch: int, pool: int) -> NDArray[np.int64]:
    """All rows once, in the order of an epoch."""
    random = np.random.default_rng([seed, epoch])
    # Groups first, then rows within a pool: a full shuffle would read every file at each batch.
    order = random.permutation(len(groups))
    sizes = np.array(groups, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    taken = sizes[order]
    before = np.cumsum(taken) - taken
    within = np.arange(taken.sum()) - np.repeat(before, taken)
    rows = np.repeat(starts[order], taken) + within
    pools = np.repeat(before // pool, taken)
    # The last key sorts first: by pool, and by chance within it.
    shuffled = np.lexsort((random.random(len(rows)), pools))
    found: NDArray[np.int64] = rows[shuffled]
    # Cached and shared: the order must not be changed in place.
    found.flags.writeable = False
    return found


def join_photographs(
    samples: Sequence[Sample], rows: Sequence[int], places: Sequence[int], step: int
) -> Supervision:
    """The batch of a method that learns from the photographs alone."""
    return collate(samples)


@dataclass(frozen=True)
class BatchSource:
    """Makes the part of any step's batch that one worker trains on.

    Row, order and augmentation of a photograph depend on the seed, the step and its place in the
    global batch, not on the number of workers or on what was drawn before: nothing needs saving.

    Attributes:
        shards: the data.
        batch_size: of all workers together.
        image_size: side of the images of a batch in px; stored pictures are resampled to it.
        seed: of order and augmentation.
        transform: random change of a sample.
        group: the workers that share a batch.
        join: of the photographs, and what a method knows of their rows, to a batch.
    """

    shards: Photographs
    batch_size: int
    image_size: int
    seed: int
    transform: Transform
    group: ProcessGroup = SINGLE_PROCESS
    join: Join = join_photographs

    def batch(self, step: int) -> Any:
        """The worker's share of a step's batch, steps from 0; unreadable rows are left out."""
        # The order of all workers, from which each takes its places: no message is needed.
        rows = rows_of_step(self.shards.groups, self.batch_size, step, self.seed).tolist()
        # Every n-th place, so that shares differ by one photograph at most.
        places = range(self.group.rank, self.batch_size, self.group.count)
        kept, found = read_samples(self.shards, {place: rows[place] for place in places})
        if not kept:
            raise FacebenchError(f"no row of step {step} in {self.shards.folder} could be read")
        samples = [
            # A generator of its own: an unreadable neighbour must not shift its numbers.
            self.transform(
                resize_sample(sample, self.image_size),
                np.random.default_rng([self.seed, step, place]),
            )
            for place, sample in zip(kept, found, strict=True)
        ]
        # By row and place, not by their order: what could not be read has left gaps in both.
        return self.join(samples, [rows[place] for place in kept], kept, step)


def read_samples(
    photographs: Photographs, rows: Mapping[int, int]
) -> tuple[list[int], list[Sample]]:
    """The samples of the rows that can be read, and their keys."""
    found = {}
    for key, row in rows.items():
        # Which photographs fail is known only by reading them.
        with suppress(FacebenchError):
            found[key] = photographs.sample(row)
    return list(found), list(found.values())


def resize_sample(sample: Sample, size: int) -> Sample:
    """The sample with a side of `size` px."""
    side = sample.image.shape[0]
    if side == size:
        return sample
    image = Image.fromarray(sample.image).resize((size, size), Image.Resampling.BILINEAR)
    # Nearest: no class lies between two others.
    mask = Image.fromarray(sample.mask).resize((size, size), Image.Resampling.NEAREST)
    # Pixel centres at integers: half a pixel is added before and taken off after scaling.
    landmarks = (sample.landmarks + 0.5) * np.float32(size / side) - 0.5
    return Sample(np.asarray(image), landmarks.astype(np.float32), np.asarray(mask))


def collate(samples: Sequence[Sample]) -> Supervision:
    """Samples of one size as tensors."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    landmarks = torch.from_numpy(np.stack([sample.landmarks for sample in samples], axis=2))
    masks = torch.from_numpy(np.stack([sample.mask for sample in samples]))
    # Bytes until here: a batch in floats is four times as large to stack and send.
    return Supervision(images.permute(0, 3, 1, 2).float() / 255.0, landmarks, masks.long())


def prefetch(source: BatchSource, first: int, last: int, readers: int = 1) -> Generator[Any]:
    """Batches of the steps first to last - 1 in order, made ahead while the network computes.

    Several readers are processes: threads would take turns with the one that keeps a GPU busy.
    Batches come from them through shared memory (`/dev/shm`), two for each reader at most.

    Args:
        source: of the batches.
        first: step of the first one.
        last: step after the last one.
        readers: how many batches are made at a time.

    Raises:
        FacebenchError: a batch could not be made.
    """
    if readers > 1:
        return _of_processes(source, first, last, readers)
    return _of_a_thread(source, first, last)


def _of_a_thread(source: BatchSource, first: int, last: int) -> Generator[Any]:
    steps = iter(range(first, last))
    pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
    try:
        ahead = deque(pool.submit(source.batch, step) for step in islice(steps, 1 + _AHEAD))
        while ahead:
            batch = ahead.popleft().result()
            # Before the batch is handed over: the next is made while the network computes.
            ahead.extend(pool.submit(source.batch, step) for step in islice(steps, 1))
            yield batch
    finally:
        # What waits is dropped; what runs is waited for, or it would outlive its shards.
        pool.shutdown(cancel_futures=True)


def _of_processes(source: BatchSource, first: int, last: int, readers: int) -> Generator[Any]:
    loader = DataLoader(
        _Steps(source),
        # One item is one batch: the source makes it whole.
        batch_size=None,
        sampler=range(first, last),
        num_workers=readers,
        # What a source holds cannot be sent to a fresh process; readers never touch the GPU.
        multiprocessing_context="fork",
    )
    for made in loader:
        if isinstance(made, FacebenchError):
            raise made
        yield made


class _Steps(Dataset[Any]):
    """The batch of any step, or why there is none: raised in a reader, it would lose its words."""

    def __init__(self, source: BatchSource) -> None:
        self._source = source

    def __getitem__(self, step: int) -> Any:
        try:
            return self._source.batch(step)
        except FacebenchError as error:
            return error
