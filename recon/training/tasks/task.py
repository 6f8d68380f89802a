"""The interface by which networks for photographs are trained, and their training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ....errors import FacebenchError
from ...losses.multilevel import Supervision, TensorBatch
from ...recipes.vision import VisionRecipe
from ..batches import Photographs, collate, read_samples, resize_sample
from ..optimise import Row, StepReport, Trainable
from ..workers import ProcessGroup, Worker

LossTerms = dict[str, Tensor]
"""Scalar terms of a loss by name; their sum is what is minimised."""

MEASURED = 512
"""Photographs that are measured on at most."""

_CHUNK = 32


@dataclass(frozen=True)
class PeopleBatch(TensorBatch):
    """Photographs with their labels and who is in them.

    Attributes:
        truth: images, landmarks, masks.
        people: (B,) int64, number of the person among those trained on.
        noise: (B, 5, 2) standard normal, of the five points that faces are aligned by.
    """

    truth: Supervision
    people: Tensor
    noise: Tensor


class Learner(nn.Module):
    """A network together with the loss it learns by, its measures and its picture.

    The network is its submodule `network`.
    """

    def forward(
        self, images: Tensor, landmarks: Tensor, masks: Tensor, people: Tensor, noise: Tensor
    ) -> LossTerms:
        """The terms of the loss of a batch, weighted.

        Means run over the photographs of all workers: each divides the sum over its own by the mean
        of all workers' denominators.

        Args:
            images: (B, 3, S, S) RGB in [0, 1].
            landmarks: (68, 2, B) px, NaN where unknown.
            masks: (B, S, S) int64 in BiSeNet order.
            people: (B,) int64.
            noise: (B, 5, 2).
        """
        raise NotImplementedError

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        """Take the state of a network of the same build, as `weights` gives it."""
        self.get_submodule("network").load_state_dict(weights)

    def weights(self) -> dict[str, Tensor]:
        """State of the network alone: what inference needs."""
        return self.get_submodule("network").state_dict()

    def measure(self, held_out: Photographs, device: torch.device) -> Row:
        """How it does on photographs that are not trained on."""
        raise NotImplementedError

    def picture(self, photographs: Photographs, device: torch.device) -> NDArray[np.uint8]:
        """A sheet for people to look at, (H, W, 3) RGB."""
        raise NotImplementedError


MakeLearner = Callable[[ProcessGroup], Learner]
"""A learner with fresh weights, for one of the workers."""


def in_batches(
    photographs: Photographs, rows: Sequence[int], size: int, device: torch.device
) -> Iterator[tuple[list[int], Supervision]]:
    """Rows that could be read and their photographs at a side of `size` px, a few at a time.

    Raises:
        FacebenchError: at the end, when not one could be read.
    """
    any_read = False
    for first in range(0, len(rows), _CHUNK):
        chunk = rows[first : first + _CHUNK]
        places, samples = read_samples(photographs, dict(enumerate(chunk)))
        if samples:
            # Known at the end only: the first pieces of a folder may all be damaged.
            any_read = True
            batch = collate([resize_sample(sample, size) for sample in samples])
            yield [chunk[place] for place in places], batch.to(device)
    if not any_read:
        raise FacebenchError(
            f"none of {len(rows)} photographs in {photographs.folder} can be read",
            "prepare them again",
        )


def spread_rows(photographs: Photographs, number: int) -> list[int]:
    """At most `number` rows, evenly over all."""
    number = min(number, len(photographs))
    return [len(photographs) * i // number for i in range(number)]


class TaskTrainer(Trainable[PeopleBatch]):
    """A learner in training, with its optimiser."""

    learner: Learner
    recipe: VisionRecipe

    def __init__(
        self, recipe: VisionRecipe, make: MakeLearner, model_digest: str, worker: Worker
    ) -> None:
        super().__init__(recipe, model_digest, worker)
        learner = make(worker.group)
        if worker.start is not None:
            learner.begin(worker.start)
        self.join_group(learner, worker)

    def training_step(self, batch: PeopleBatch) -> StepReport:
        """Take one step on a batch; left out where the loss or its gradient is not finite."""
        self.network.train()
        # Before the batch goes through: a step left out must not leave its statistics.
        before = self.descent.statistics()
        here = batch.to(self.device)
        truth = here.truth
        terms = self.network(truth.images, truth.landmarks, truth.masks, here.people, here.noise)
        return self.descend(terms, terms, before, len(truth.images), {})
