"""From shards to batches, in an order that follows from the seed and the step alone."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ...errors import FacebenchError
from ..losses.supervision import Supervision
from .shards import Sample
from .trainee import Batch, Photographs, Source

Transform = Callable[[Sample, np.random.Generator], Sample]


def rows_of_step(rows: int, batch_size: int, step: int, seed: int) -> NDArray[np.int64]:
    """Rows of the global batch of a step: epoch after epoch, each in an order of its own."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // rows
    orders = {int(epoch): _permutation(rows, seed, int(epoch)) for epoch in np.unique(epochs)}
    return np.array([orders[int(e)][p % rows] for e, p in zip(epochs, positions, strict=True)])


def _permutation(rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(rows)


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
        rank: which worker this is.
        workers: how many there are.
    """

    shards: Photographs
    batch_size: int
    image_size: int
    seed: int
    transform: Transform
    rank: int = 0
    workers: int = 1

    def batch(self, step: int) -> Supervision:
        """The worker's share of a step's batch, steps from 0; unreadable rows are left out."""
        return collate([sample for _, sample in self.samples(step)])

    def samples(self, step: int) -> list[tuple[int, Sample]]:
        """The readable photographs of the worker's share, changed, each with its row."""
        rows = rows_of_step(len(self.shards), self.batch_size, step, self.seed)
        places = range(self.rank, self.batch_size, self.workers)
        samples = [
            (int(rows[place]), self._sample(int(rows[place]), step, place)) for place in places
        ]
        readable = [(row, sample) for row, sample in samples if sample is not None]
        if not readable:
            raise FacebenchError(f"no row of step {step} in {self.shards.folder} could be read")
        return readable

    def _sample(self, row: int, step: int, place: int) -> Sample | None:
        try:
            sample = resized(self.shards.sample(row), self.image_size)
        except FacebenchError:
            return None
        return self.transform(sample, np.random.default_rng([self.seed, step, place]))


def resized(sample: Sample, size: int) -> Sample:
    """The sample with a side of `size` px."""
    side = sample.image.shape[0]
    if side == size:
        return sample
    image = Image.fromarray(sample.image).resize((size, size), Image.Resampling.BILINEAR)
    mask = Image.fromarray(sample.mask).resize((size, size), Image.Resampling.NEAREST)
    landmarks = (sample.landmarks + 0.5) * np.float32(size / side) - 0.5
    return Sample(np.asarray(image), landmarks.astype(np.float32), np.asarray(mask))


def collate(samples: Sequence[Sample]) -> Supervision:
    """Samples of one size as tensors."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    landmarks = torch.from_numpy(np.stack([sample.landmarks for sample in samples], axis=2))
    masks = torch.from_numpy(np.stack([sample.mask for sample in samples]))
    return Supervision(images.permute(0, 3, 1, 2).float() / 255.0, landmarks, masks.long())


def prefetched(source: Source[Batch], first: int, last: int, ahead: int = 3) -> Generator[Batch]:
    """Batches of the steps first to last - 1, made by a thread while the network computes."""
    ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()
    thread = threading.Thread(target=_fill, args=(source, first, last, ready, stopped), daemon=True)
    thread.start()
    try:
        for _ in range(first, last):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def _fill(
    source: Source[Batch],
    first: int,
    last: int,
    ready: queue.Queue[Batch | BaseException],
    stopped: threading.Event,
) -> None:
    for step in range(first, last):
        try:
            item: Batch | BaseException = source.batch(step)
        except BaseException as error:  # handed to the thread that trains, which raises it
            item = error
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                break
            except queue.Full:
                continue
        if stopped.is_set() or isinstance(item, BaseException):
            return
