"""`tran`: labels fitted to photographs, one face for all photographs of a person.

The fits are `recon.fitting`'s and are made before the training starts (`labels.py`).
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from ...face.coefficients import Coefficients
from ...losses.asymmetric import asymmetric_loss
from ...losses.labelled import batch_mean, landmark_distance
from ...morphable.model import MorphableModel
from ...recipes.baselines import LabelWeights, TranRecipe
from ..optimise.precision import computing_in
from .labelled import LabelledFaces
from .trainer import RegressorTrainer, Surroundings


class TranTrainer(RegressorTrainer[LabelledFaces]):
    """The regressor in training on labels; arguments as for `RegressorTrainer`."""

    def __init__(self, recipe: TranRecipe, model: MorphableModel, around: Surroundings) -> None:
        self._recipe = recipe
        super().__init__(recipe, model, around)

    @property
    def recipe(self) -> TranRecipe:
        """How it is trained."""
        return self._recipe

    @property
    def weights(self) -> LabelWeights:
        """Of the levels."""
        return self._recipe.weights

    def judge(self, batch: LabelledFaces) -> tuple[Coefficients, dict[str, Tensor]]:
        """The faces of a batch and how far they are from their labels."""
        with computing_in(self._recipe.network.precision, self.device):
            found: Coefficients = self.network(batch.images)
        return found, self.levels(found, batch.faces(self.regressor.sizes))

    def levels(self, found: Coefficients, label: Coefficients) -> dict[str, Tensor]:
        """Who it is by the asymmetric loss, the photograph's own coefficients by squares."""
        across, sides = self.peers.mean, self._recipe.asymmetry
        person = partial(asymmetric_loss, over=sides.over, under=sides.under, across=across)
        off = landmark_distance(found, label, self.face.decoder)
        return {
            "identity": person(found.identity, label.identity),
            "albedo": person(found.albedo, label.albedo),
            "expression": batch_mean((found.expression - label.expression).square(), across),
            "pose": batch_mean(off, across),
            "light": batch_mean((found.light - label.light).square(), across),
        }
