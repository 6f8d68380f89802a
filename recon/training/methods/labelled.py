"""Photographs with the coefficients of the faces in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...face.coefficients import Coefficients, CoefficientSizes
from ..data.batches import BatchSource, collate
from ..data.trainee import Photographs


@dataclass(frozen=True)
class LabelledFaces:
    """A batch of photographs with labels.

    Attributes:
        images: (B, 3, S, S) float32 RGB in [0, 1].
        labels: (B, total) float32 coefficients.
    """

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> LabelledFaces:
        """The same on a device."""
        images = self.images.to(device, non_blocking=True)
        return LabelledFaces(images, self.labels.to(device, non_blocking=True))

    def faces(self, sizes: CoefficientSizes) -> Coefficients:
        """The labels' parts."""
        return Coefficients.from_vector(self.labels, sizes)


@dataclass(frozen=True)
class LabelledSource:
    """A `BatchSource` with the label of every row.

    Attributes:
        photographs: gives the photographs.
        labels: (rows, total) float32.
    """

    photographs: BatchSource
    labels: NDArray[np.float32]

    @property
    def shards(self) -> Photographs:
        """The data."""
        return self.photographs.shards

    @property
    def rank(self) -> int:
        """Which worker this is."""
        return self.photographs.rank

    @property
    def workers(self) -> int:
        """How many there are."""
        return self.photographs.workers

    def batch(self, step: int) -> LabelledFaces:
        """The worker's share of a step's batch, steps from 0; unreadable rows are left out."""
        placed = self.photographs.samples(step)
        truth = collate([one.sample for one in placed])
        labels = self.labels[[one.row for one in placed]]
        return LabelledFaces(truth.images, torch.from_numpy(labels))
