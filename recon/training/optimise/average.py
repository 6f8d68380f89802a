"""The average of a learner's weights over the last steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of a learner's parameters (Polyak and Juditsky 1992).

    Early on the average follows faster, over (1 + n) / (10 + n) of n steps, so that the starting
    weights are soon forgotten. Batch statistics are not averaged.

    Args:
        learner: whose parameters are followed.
        decay: share of the average that a step keeps, in (0, 1).
    """

    def __init__(self, learner: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._live = dict(learner.named_parameters())
        self._kept = {name: value.detach().clone() for name, value in self._live.items()}

    @torch.no_grad()
    def follow(self) -> None:
        """Take in the weights as they are after a step."""
        self.steps += 1
        share = 1.0 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, kept in self._kept.items():
            kept.lerp_(self._live[name], share)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Inside the block the learner has the averaged weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def state(self) -> dict[str, Tensor]:
        """Everything to continue from."""
        return {"steps": torch.tensor(self.steps), **self._kept}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state."""
        self.steps = int(state["steps"])
        for name, kept in self._kept.items():
            kept.copy_(state[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, kept in self._kept.items():
            live = self._live[name]
            before = live.detach().clone()
            live.copy_(kept)
            kept.copy_(before)
