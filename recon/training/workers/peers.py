"""The workers that train together, and what they agree on in every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, distributed, nn

from .shared_batch_norm import share_statistics


class Peers(Protocol):
    """All workers of a training, seen from one of them."""

    @property
    def rank(self) -> int:
        """Which one this is, from 0."""
        ...

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def mean(self, value: Tensor) -> Tensor:
        """Mean over the workers of a number that each of them has; without gradient."""
        ...

    def all(self, here: Tensor) -> bool:
        """Whether a condition () bool holds on every worker."""
        ...

    def largest(self, values: Tensor, number: int) -> Tensor:
        """The `number` largest, falling, of all workers' values (N,); without gradient."""
        ...

    def prepare(self, learner: nn.Module, device: torch.device) -> nn.Module:
        """The learner as it must be to learn together."""
        ...


@dataclass(frozen=True)
class Alone:
    """The only worker."""

    rank: int = 0
    count: int = 1

    def mean(self, value: Tensor) -> Tensor:
        """The value itself."""
        return value

    def all(self, here: Tensor) -> bool:
        """Whether it holds here."""
        return bool(here)

    def largest(self, values: Tensor, number: int) -> Tensor:
        """The largest values here."""
        return values.detach().topk(number).values

    def prepare(self, learner: nn.Module, device: torch.device) -> nn.Module:
        """The learner as it is."""
        return learner


ALONE = Alone()


@dataclass(frozen=True)
class Together:
    """One of several workers in PyTorch's default process group."""

    rank: int
    count: int

    def mean(self, value: Tensor) -> Tensor:
        """Mean over the workers; all of them must ask, in the same order."""
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.count

    def all(self, here: Tensor) -> bool:
        """Whether it holds everywhere; all workers must ask."""
        votes = here.to(torch.int32).clone()
        distributed.all_reduce(votes, op=distributed.ReduceOp.MIN)
        return bool(votes)

    def largest(self, values: Tensor, number: int) -> Tensor:
        """The largest values of all; the workers may hold different numbers of them."""
        own = values.detach().topk(min(number, len(values))).values
        padded = own.new_full((number,), -torch.inf)
        padded[: len(own)] = own
        gathered = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(gathered, padded)
        return torch.cat(gathered).topk(number).values

    def prepare(self, learner: nn.Module, device: torch.device) -> nn.Module:
        """The learner with batch statistics over all workers, so that shares do not matter."""
        return share_statistics(learner, device)
