"""The trainer and the batches of a recipe's method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import FacebenchError
from ...face.coefficients import CoefficientSizes
from ...morphable.model import MorphableModel
from ...recipes.baselines import GenovaRecipe, RichardsonRecipe, TranRecipe
from ...recipes.regressor import Recipe, RegressorRecipe
from ..data.batches import BatchSource
from ..data.shards import FaceShards
from ..data.trainee import Source
from .genova import GenovaTrainer
from .identity_level import load_features
from .labelled import LabelledSource
from .labels import Labelling, read_labels
from .ours import Trainer
from .richardson import RichardsonTrainer
from .trainer import RegressorTrainer, Surroundings
from .tran import TranTrainer


@dataclass(frozen=True)
class Material:
    """What a training is made from, beside its recipe.

    Attributes:
        model: the face model.
        shards: the photographs.
        photographs: gives them in batches.
        labelling: where faces fitted to them are kept.
    """

    model: MorphableModel
    shards: FaceShards
    photographs: BatchSource
    labelling: Labelling


def make_training(
    recipe: RegressorRecipe, material: Material, around: Surroundings
) -> tuple[RegressorTrainer[Any], Source[Any]]:
    """The trainer of a method and the source of its batches.

    Raises:
        FacebenchError: the photographs do not suit the method, or a file of the recipe is missing.
    """
    model, photographs = material.model, material.photographs
    if isinstance(recipe, Recipe):
        return _weakly(recipe, model, around), photographs
    if isinstance(recipe, GenovaRecipe):
        return GenovaTrainer(recipe, model, around), photographs
    if isinstance(recipe, TranRecipe):
        labels = read_labels(material.labelling, CoefficientSizes.of(model))
        return TranTrainer(recipe, model, around), LabelledSource(photographs, labels)
    if isinstance(recipe, RichardsonRecipe):
        truth = true_coefficients(material.shards)
        return RichardsonTrainer(recipe, model, around), LabelledSource(photographs, truth)
    raise TypeError(f"no training for {type(recipe).__name__}")


def true_coefficients(shards: FaceShards) -> NDArray[np.float32]:
    """What synthetic faces were drawn from, (rows, total).

    Raises:
        FacebenchError: they are photographs, of which nobody knows.
    """
    found = shards.all_coefficients()
    if found is None:
        raise FacebenchError(
            f"the faces in {shards.folder} have no coefficients to learn from",
            "make some that have with 'facebench synth faces'",
        )
    return found


def _weakly(recipe: Recipe, model: MorphableModel, around: Surroundings) -> Trainer:
    weighed = recipe.loss.weights.identity > 0
    return Trainer(
        recipe,
        model,
        around.seed,
        around.device,
        around.distribute,
        around.peers,
        load_features(recipe.identity, around.device) if weighed else None,
        around.start,
    )
