"""One optimisation step of a task: batch to loss to weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...vision_recipe import VisionRecipe
from ..trainer import StepReport, learning_rate
from .task import Learner, PeopleBatch, Task


class TaskTrainer:
    """A learner in training, with its optimiser; a `Trainee`.

    Args:
        recipe: optimiser and length of the training.
        task: what is learned.
        model_digest: of the face model behind the data, or empty.
        seed: of the starting weights.
        device: where everything runs.
        distribute: what makes the learner of one worker part of several.
    """

    def __init__(
        self,
        recipe: VisionRecipe,
        task: Task,
        model_digest: str,
        seed: int,
        device: torch.device,
        distribute: Callable[[Any], nn.Module] | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.model_digest = model_digest
        self.seed = seed
        self.device = device
        self.step = 0
        self.skipped = 0
        self.learner: Learner = task.learner().to(device)
        self.network = distribute(self.learner) if distribute else self.learner
        learned = [value for value in self.learner.parameters() if value.requires_grad]
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(learned, fused=True)

    def advance(self, truth: PeopleBatch) -> StepReport:
        """Take one step on a batch; left out where the loss or its gradient is not finite."""
        self.network.train()
        batch = truth.to(self.device)
        labels = batch.truth
        levels = self.network(labels.images, labels.landmarks, labels.masks, batch.people)
        total: Tensor = torch.stack(list(levels.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        applied = self._apply(total)
        self.step += 1
        self.skipped += not applied
        values = {name: float(level.detach()) for name, level in levels.items()}
        return StepReport(float(total.detach()), values, len(labels.images), applied)

    def _apply(self, total: Tensor) -> bool:
        limit = self.recipe.optimiser.gradient_limit or math.inf
        norm = nn.utils.clip_grad_norm_(self.learner.parameters(), limit)
        if not bool((norm + total.detach()).isfinite()):
            return False
        rate = learning_rate(self.recipe.optimiser, self.step, self.recipe.training.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        return True
