"""The training loop of a face's regressor: the method's trainer and batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....errors import FacebenchError
from ...export.mesh_files import write_picture
from ...face.coefficients import CoefficientSizes
from ...morphable.load import load_model
from ...morphable.model import MorphableModel
from ...recipes.baselines import GenovaRecipe, RichardsonRecipe, TranRecipe
from ...recipes.files import training_of
from ...recipes.regressor import Recipe, RegressorRecipe
from ...regressors.checkpoint import save_weights, starting_weights
from ..augmentation import random_change
from ..batches import BatchSource
from ..loop import Listener, Loop, Show, TrainingFolder
from ..shards import FaceShards
from ..workers import Worker
from .baselines import GenovaTrainer, RichardsonTrainer, TranTrainer, join_labels
from .labels import Labelling, read_labels
from .ours import Trainer, load_features
from .trainer import RegressorTrainer, fits_picture, validate_regressor

if TYPE_CHECKING:
    from ..run import TrainingJob

Training = tuple[RegressorTrainer[Any], BatchSource]
"""The trainer of a method and the source of its batches."""

SHOWN = 6
"""Rows of the picture of fits."""


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


def weakly_supervised(recipe: Recipe, material: Material, worker: Worker) -> Training:
    """`ours` and `mofa`: photographs with landmarks and masks."""
    # A recogniser is loaded, and kept on the device, only where its term counts.
    weighed = recipe.loss.weights.identity > 0
    features = load_features(recipe.identity, worker.device) if weighed else None
    trainer = Trainer(recipe, material.model, worker, features)
    return trainer, material.photographs


def from_features(recipe: GenovaRecipe, material: Material, worker: Worker) -> Training:
    """`genova`: photographs alone."""
    return GenovaTrainer(recipe, material.model, worker), material.photographs


def from_fitted_labels(recipe: TranRecipe, material: Material, worker: Worker) -> Training:
    """`tran`: photographs with the faces that were fitted to them."""
    labels = read_labels(material.labelling, CoefficientSizes.of(material.model))
    trainer = TranTrainer(recipe, material.model, worker)
    return trainer, replace(material.photographs, join=partial(join_labels, labels))


def from_true_coefficients(
    recipe: RichardsonRecipe, material: Material, worker: Worker
) -> Training:
    """`richardson`: renders with the coefficients that they were drawn from."""
    truth = true_coefficients(material.shards)
    trainer = RichardsonTrainer(recipe, material.model, worker)
    return trainer, replace(material.photographs, join=partial(join_labels, truth))


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


def regressor_loop(
    job: TrainingJob, recipe: RegressorRecipe, worker: Worker, listen: Listener
) -> Loop:
    """Everything one worker needs, from the files the job names.

    Raises:
        FacebenchError: unusable data, or a recipe that does not suit it.
    """
    model = load_model(job.model)
    shards = FaceShards(job.data, job.limit)
    # Before the first batch: landmarks of another model would train in silence to a wrong face.
    shards.check_model(model)
    photographs = BatchSource(
        shards=shards,
        batch_size=recipe.training.batch_size,
        image_size=recipe.image_size,
        seed=job.seed,
        transform=random_change(recipe),
        group=worker.group,
    )
    held_out = FaceShards(job.validation) if job.validation else None
    start = starting_weights(job.first_weights, recipe, model) if job.first_weights else None
    worker = replace(worker, seed=job.seed, start=start)
    labelling = Labelling(job.data, job.model, job.folder.labels, len(shards))
    material = Material(model, shards, photographs, labelling)
    trainer, source = training_of(recipe)(recipe, material, worker)
    validate = partial(validate_regressor, held_out, model, trainer) if held_out else None
    job.out.mkdir(parents=True, exist_ok=True)
    # Faces that are not trained on, where there are any: those learned by heart look too good.
    show = partial(_show, trainer, held_out or shards)
    finish = partial(_finish, job.folder, trainer, show)
    return Loop(trainer, source, job.folder, validate, finish, listen, show, worker.readers)


def _finish(folder: TrainingFolder, trainer: RegressorTrainer[Any], show: Show) -> None:
    """Leave the weights for inference and a picture of fits."""
    save_weights(
        folder.weights,
        trainer.regressor,
        trainer.recipe,
        trainer.model_digest,
        trainer.step,
        trainer.seed,
    )
    show(folder.fits)


def _show(trainer: RegressorTrainer[Any], shown: FaceShards, path: Path) -> None:
    """Draw fits of some rows into a file."""
    # Spread over all rows: neighbours are often photographs of one person.
    rows = [len(shown) * i // SHOWN for i in range(min(SHOWN, len(shown)))]
    write_picture(fits_picture(trainer, shown, rows), path)
