"""What the loop needs of whatever it trains, and of what it trains on."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Protocol, TypeVar

from torch import nn

from ...recipes.kinds import AnyRecipe
from ..optimise.descent import Descent
from ..optimise.step_report import StepReport
from .shards import Sample

Batch = TypeVar("Batch")
Consumed = TypeVar("Consumed", contravariant=True)
Produced = TypeVar("Produced", covariant=True)


class Trainee(Protocol[Consumed]):
    """Something that learns step by step and whose whole state can be written down."""

    step: int
    skipped: int

    @property
    def descent(self) -> Descent:
        """Optimiser and average, with what they remember of the steps before."""
        ...

    @property
    def recipe(self) -> AnyRecipe:
        """How it is trained."""
        ...

    @property
    def seed(self) -> int:
        """Of its starting weights."""
        ...

    @property
    def model_digest(self) -> str:
        """Of the face model behind it or its data; empty where there is none."""
        ...

    @property
    def learner(self) -> nn.Module:
        """Everything that is learned, as one module."""
        ...

    def advance(self, truth: Consumed) -> StepReport:
        """Take one step on a batch."""
        ...


class Source(Protocol[Produced]):
    """One worker's part of every batch."""

    @property
    def shards(self) -> Sized:
        """The data; its length is the number of photographs."""
        ...

    @property
    def rank(self) -> int:
        """Which worker this is."""
        ...

    @property
    def workers(self) -> int:
        """How many there are."""
        ...

    def batch(self, step: int) -> Produced:
        """The worker's share of a step's batch, steps from 0."""
        ...


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
