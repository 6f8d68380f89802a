"""Batches that also say who is in each photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.batches import BatchSource, collate
from ..data.trainee import Photographs
from .task import PeopleBatch

_POINTS = 3
"""Stream of the points' noise; the second views of the face regressor have 1 and 2."""


@dataclass(frozen=True)
class PeopleSource:
    """A `BatchSource` with the person of every row.

    Attributes:
        faces: gives the photographs.
        people: (rows,) int64, number of the person in each.
    """

    faces: BatchSource
    people: NDArray[np.int64]

    @property
    def shards(self) -> Photographs:
        """The data."""
        return self.faces.shards

    @property
    def rank(self) -> int:
        """Which worker this is."""
        return self.faces.rank

    @property
    def workers(self) -> int:
        """How many there are."""
        return self.faces.workers

    def batch(self, step: int) -> PeopleBatch:
        """The worker's share of a step's batch, steps from 0; unreadable rows are left out."""
        placed = self.faces.samples(step)
        noise = point_noise(self.faces.seed, step, self.faces.batch_size)
        return PeopleBatch(
            collate([one.sample for one in placed]),
            torch.from_numpy(self.people[[one.row for one in placed]]),
            torch.from_numpy(noise[[one.place for one in placed]]),
        )


def point_noise(seed: int, step: int, places: int) -> NDArray[np.float32]:
    """Standard normal noise (places, 5, 2) of the five points of every photograph of a step.

    It follows from seed, step and place alone: a resumed training and one of other workers draw
    the same.
    """
    # Four numbers, where the order and augmentation of photographs are seeded by three.
    random = np.random.default_rng([seed, step, 0, _POINTS])
    return random.standard_normal((places, 5, 2)).astype(np.float32)


def numbered(names: Sequence[str]) -> NDArray[np.int64]:
    """Each name's number among the distinct names in sorted order."""
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)
