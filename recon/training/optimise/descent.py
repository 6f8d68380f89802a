"""From a loss to new weights: clipped, scheduled, averaged, and left out where not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ...recipes.parts import OptimiserRecipe
from .average import WeightAverage
from .schedule import learning_rate


class Descent:
    """Adam over a learner's parameters and all that surrounds one step of it.

    Args:
        learner: what learns.
        recipe: of the steps.
        steps: how many the training takes, for the schedule.
    """

    def __init__(self, learner: nn.Module, recipe: OptimiserRecipe, steps: int) -> None:
        self.recipe = recipe
        self.steps = steps
        self.average = WeightAverage(learner, recipe.average) if recipe.average else None
        self._learner = learner
        self._learned = [value for value in learner.parameters() if value.requires_grad]
        self.optimiser = torch.optim.Adam(self._learned, fused=True)

    def statistics(self) -> list[Tensor]:
        """A copy of the learner's running statistics, taken before a batch goes through it."""
        return [buffer.clone() for buffer in self._learner.buffers()]

    def apply(self, total: Tensor, step: int, before: list[Tensor]) -> bool:
        """Descend the loss once; False where loss or gradient is not finite.

        A step left out leaves no trace: the running statistics are put back too. A loss that is not
        finite makes the whole gradient so, which all workers then see after their exchange.

        Args:
            total: the loss ().
            step: which one, from 0.
            before: `statistics` from before the batch.
        """
        self.optimiser.zero_grad(set_to_none=True)
        spoilt = torch.full_like(total, math.nan).where(~total.detach().isfinite(), 1.0)
        torch.autograd.backward(total, spoilt)
        norm = nn.utils.clip_grad_norm_(self._learned, self.recipe.gradient_limit or math.inf)
        if not bool(norm.isfinite()):
            self._put_back(before)
            return False
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, step, self.steps)
        self.optimiser.step()
        if self.average:
            self.average.follow()
        return True

    def averaged(self) -> AbstractContextManager[None]:
        """Inside the block the learner has its averaged weights, where the recipe asks for them."""
        return self.average.in_use() if self.average else nullcontext()

    def state(self) -> dict[str, Any]:
        """Everything to continue from, beside the learner's own state."""
        average = self.average.state() if self.average else {}
        return {"optimiser": self.optimiser.state_dict(), "average": average}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average:
            self.average.restore(state["average"])

    @torch.no_grad()
    def _put_back(self, before: list[Tensor]) -> None:
        for buffer, kept in zip(self._learner.buffers(), before, strict=True):
            buffer.copy_(kept)
