"""From shards to batches, in an order that follows from the seed and the step alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ....errors import FacebenchError
from ...losses.supervision import Supervision
from .order import rows_of_step
from .shards import Sample
from .trainee import Photographs

Transform = Callable[[Sample, np.random.Generator], Sample]


@dataclass(frozen=True)
class Placed:
    """A photograph of a batch.

    Attributes:
        place: in the batch of all workers.
        row: of the data.
        sample: the photograph, changed.
    """

    place: int
    row: int
    sample: Sample


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
        return collate([placed.sample for placed in self.samples(step)])

    def samples(self, step: int) -> list[Placed]:
        """The readable photographs of the worker's share, changed."""
        rows = rows_of_step(self.shards.groups, self.batch_size, step, self.seed).tolist()
        places = range(self.rank, self.batch_size, self.workers)
        samples = [(place, self._sample(rows[place], step, place)) for place in places]
        readable = [Placed(place, rows[place], one) for place, one in samples if one is not None]
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
