"""Batches that also say who is in each photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..batches import BatchSource, collate
from ..trainee import Photographs
from .task import PeopleBatch


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
        rows, samples = zip(*self.faces.samples(step), strict=True)
        return PeopleBatch(collate(samples), torch.from_numpy(self.people[list(rows)]))


def numbered(names: Sequence[str]) -> NDArray[np.int64]:
    """Each name's number among the distinct names in sorted order."""
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)
