"""One optimisation step of a task: batch to loss to weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...recipes.vision import VisionRecipe
from ..optimise.descent import Descent
from ..optimise.layout import channels_last
from ..optimise.step_report import StepReport
from ..workers.peers import ALONE, Peers
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
        peers: the workers that share each batch.
    """

    def __init__(
        self,
        recipe: VisionRecipe,
        task: Task,
        model_digest: str,
        seed: int,
        device: torch.device,
        distribute: Callable[[Any], nn.Module] | None = None,
        peers: Peers = ALONE,
    ) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.model_digest = model_digest
        self.seed = seed
        self.device = device
        self.step = 0
        self.skipped = 0
        self.learner: Learner = task.learner(peers)
        peers.prepare(channels_last(self.learner).to(device), device)
        self.network = distribute(self.learner) if distribute else self.learner
        self.descent = Descent(self.learner, recipe.optimiser, recipe.training.steps)

    def advance(self, truth: PeopleBatch) -> StepReport:
        """Take one step on a batch; left out where the loss or its gradient is not finite."""
        self.network.train()
        before = self.descent.statistics()
        batch = truth.to(self.device)
        labels = batch.truth
        levels = self.network(
            labels.images, labels.landmarks, labels.masks, batch.people, batch.noise
        )
        total: Tensor = torch.stack(list(levels.values())).sum()
        applied = self.descent.apply(total, self.step, before)
        self.step += 1
        self.skipped += not applied
        values = {name: float(level.detach()) for name, level in levels.items()}
        return StepReport(float(total.detach()), values, len(labels.images), applied)
