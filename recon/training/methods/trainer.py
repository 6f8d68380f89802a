"""One training step of a network that gives a face's coefficients, and pictures of its fits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...export.sheet import to_pictures, with_caption
from ...face.coefficients import Coefficients
from ...losses.photometric import TensorBatch
from ...morphable.model import MorphableModel
from ...recipes.regressor import RegressorRecipe
from ...regressors.checkpoint import face_renderer, fresh_network
from ...render.face import RenderedFace, draw_panels
from ..data.batches import Photographs, collate, resize_sample
from ..optimise import StepReport, Trainable, gradient_norms
from ..workers import Surroundings

Batch = TypeVar("Batch", bound=TensorBatch)


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
    named = [with_caption(stack, name) for stack, name in zip(stacks, names, strict=False)]
    return np.concatenate(named, axis=1)


class RegressorTrainer(Trainable[Batch]):
    """A network in training, with its optimiser and the face it is judged by.

    A method says in `compute_losses` what its loss looks at; everything else is the same for all.
    """

    recipe: RegressorRecipe

    def __init__(
        self, recipe: RegressorRecipe, model: MorphableModel, around: Surroundings
    ) -> None:
        super().__init__(recipe, model.digest, around)
        self.regressor = fresh_network(recipe, model)
        if around.start is not None:
            # Before it goes to the device and to the others, which share what it has by then.
            self.regressor.load_state_dict(around.start)
        self.join_peers(self.regressor, around)
        self.face = face_renderer(recipe, model).to(self.device)

    @property
    @abstractmethod
    def weights(self) -> Any:
        """The recipe's record with the weight of each term of the loss."""

    @abstractmethod
    def compute_losses(self, batch: Batch) -> tuple[Coefficients, dict[str, Tensor]]:
        """What the network finds in a batch, and every term of the loss, unweighted, by name."""

    def second_view(self, coefficients: Coefficients) -> RenderedFace | None:
        """Faces as the loss sees them a second time, or None where it does not."""
        return None

    def training_step(self, batch: Batch) -> StepReport:
        """Take one step on a batch."""
        # At each step: a validation or a picture may have been made since.
        self.regressor.train()
        before = self.descent.statistics()
        coefficients, terms = self.compute_losses(batch.to(self.device))
        weighted = {name: getattr(self.weights, name) * term for name, term in terms.items()}
        # Before the step, which frees the graph that they are taken from.
        gradients = self._gradients(weighted, coefficients)
        return self.descend(weighted, terms, before, len(coefficients.pose), gradients)

    def _gradients(self, weighted: Mapping[str, Tensor], found: Coefficients) -> dict[str, float]:
        # At the steps that are logged only: each term costs a backward pass to the coefficients.
        if (self.step + 1) % self.recipe.training.log_every:
            return {}
        return gradient_norms(weighted, found)
