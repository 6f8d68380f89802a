"""One training step of a network that gives a face's coefficients, and pictures of its fits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...export.sheet import captioned, to_pictures
from ...face.coefficients import Coefficients
from ...losses.photometric import TensorBatch
from ...morphable.model import MorphableModel
from ...recipes.regressor import RegressorRecipe
from ...regressors.checkpoint import face_renderer, fresh_network
from ...regressors.regressor import FaceNetwork
from ...render.face import RenderedFace, draw_panels
from ..data.batches import Photographs, collate, resize_sample
from ..optimise import Descent, StepReport, channels_last, gradient_norms
from ..workers import Surroundings


def fits_picture(
    trainer: RegressorTrainer[Any], shards: Photographs, rows: Sequence[int]
) -> NDArray[np.uint8]:
    """An RGB picture of photograph, overlay, shape and albedo of each row, below their headings.

    Where the loss sees the faces a second time, in another view, that render comes last.
    """
    size = trainer.recipe.image_size
    truth = collate([resize_sample(shards.sample(row), size) for row in rows]).to(trainer.device)
    with torch.no_grad():
        # With running statistics: those of six photographs would be another network's.
        found = trainer.regressor.eval()(truth.images)
        second = trainer.second_view(found)
    panels = draw_panels(trainer.face, found, truth.images)
    columns = [truth.images, *panels]
    columns += [second.rendering.image] if second else []
    names = ("photograph", "overlay", "shape", "albedo", "second view")
    stacks = [np.concatenate(to_pictures(images), axis=0) for images in columns]
    named = [captioned(stack, name) for stack, name in zip(stacks, names, strict=False)]
    return np.concatenate(named, axis=1)


Batch = TypeVar("Batch", bound=TensorBatch)


class RegressorTrainer(ABC, Generic[Batch]):
    """A network in training, with its optimiser and the face it is judged by.

    A method says in `compute_losses` what its loss looks at; everything else is the same for all.

    Args:
        recipe: network, renderer and optimiser.
        model: the face model.
        around: see there.
    """

    recipe: RegressorRecipe

    def __init__(
        self, recipe: RegressorRecipe, model: MorphableModel, around: Surroundings
    ) -> None:
        self.recipe = recipe
        # Before any layer is made: weights are the first numbers drawn.
        torch.manual_seed(around.seed)
        self.seed = around.seed
        self.model_digest = model.digest
        self.device = around.device
        self.peers = around.peers
        self.step = 0
        self.skipped = 0
        self.regressor = fresh_network(recipe, model)
        if around.start is not None:
            # Before it goes to the device and to the others, which share what it has by then.
            self.regressor.load_state_dict(around.start)
        # In place: optimiser, average and distributed network then hold the same tensors.
        self.peers.prepare(channels_last(self.regressor).to(self.device), self.device)
        # What is frozen is left out: distributed gradients wait for every parameter they are told
        # of.
        learned = self.learned()
        self.network = around.distribute(learned) if around.distribute else learned
        self.face = face_renderer(recipe, model).to(self.device)
        # Of the whole regressor: a frozen part's running statistics are put back, too.
        self.descent = Descent(self.regressor, recipe.optimiser, recipe.training.steps)

    @property
    @abstractmethod
    def weights(self) -> Any:
        """The recipe's record with the weight of each term of the loss."""

    @abstractmethod
    def compute_losses(self, batch: Batch) -> tuple[Coefficients, dict[str, Tensor]]:
        """What the network finds in a batch, and every term of the loss, unweighted, by name."""

    @property
    def learner(self) -> FaceNetwork:
        """Everything that is learned, with what is frozen in it: the network."""
        return self.regressor

    def learned(self) -> nn.Module:
        """The part of the network that workers share the gradient of."""
        return self.regressor

    def second_view(self, coefficients: Coefficients) -> RenderedFace | None:
        """Faces as the loss sees them a second time, or None where it does not."""
        return None

    def training_step(self, batch: Batch) -> StepReport:
        """Take one step on a batch."""
        # At each step: a validation or a picture may have been made since.
        self.regressor.train()
        before = self.descent.statistics()
        batch = batch.to(self.device)
        coefficients, terms = self.compute_losses(batch)
        weighted = {name: getattr(self.weights, name) * level for name, level in terms.items()}
        # Before the step, which frees the graph that they are taken from.
        pulls = self._pulls(weighted, coefficients)
        total = torch.stack(list(weighted.values())).sum()
        applied = self.descent.apply(total, self.step, before)
        # Also where it was left out: the schedule and the order of photographs go on.
        self.step += 1
        self.skipped += not applied
        values = {name: float(level.detach()) for name, level in terms.items()}
        return StepReport(float(total.detach()), values, len(coefficients.pose), applied, pulls)

    def _pulls(self, weighted: Mapping[str, Tensor], found: Coefficients) -> dict[str, float]:
        # At the steps that are logged only: each level costs a backward pass to the coefficients.
        if (self.step + 1) % self.recipe.training.log_every:
            return {}
        return gradient_norms(weighted, found)
