"""The training loop of a face's regressor, made from what a job names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...export.mesh_files import write_picture
from ...morphable.load import load_model
from ...recipes.regressor import RegressorRecipe
from ...regressors.checkpoint import save_weights, starting_weights
from ..data.batches import BatchSource
from ..data.mirroring import random_change
from ..data.shards import FaceShards
from ..folder import TrainingFolder
from ..loop import Listener, Loop, Show
from .labels import Labelling
from .pictures import fits_picture
from .trainer import RegressorTrainer, Surroundings
from .trainings import Material, make_training
from .validation import Validation

if TYPE_CHECKING:
    from ..job import TrainingJob, Worker

SHOWN = 6
"""Rows of the picture of fits."""


def regressor_loop(
    job: TrainingJob, recipe: RegressorRecipe, worker: Worker, listen: Listener
) -> Loop[Any]:
    """Everything one worker needs, from the files the job names.

    Raises:
        FacebenchError: unusable data, or a recipe that does not suit it.
    """
    model = load_model(job.model)
    shards = FaceShards(job.data, job.limit)
    shards.check_model(model)
    photographs = BatchSource(
        shards=shards,
        batch_size=recipe.training.batch_size,
        image_size=recipe.image_size,
        seed=job.seed,
        transform=random_change(recipe),
        rank=worker.rank,
        workers=worker.workers,
    )
    held_out = FaceShards(job.validation) if job.validation else None
    fresh = job.start if not job.folder.checkpoint.is_file() else None
    around = Surroundings(
        job.seed,
        worker.device,
        worker.distribute,
        worker.peers,
        starting_weights(fresh, recipe, model) if fresh else None,
    )
    labelling = Labelling(job.data, job.model, job.folder.labels, len(shards))
    material = Material(model, shards, photographs, labelling)
    trainer, source = make_training(recipe, material, around)
    validate = partial(Validation(held_out, model), trainer) if held_out else None
    job.out.mkdir(parents=True, exist_ok=True)
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
    rows = [len(shown) * i // SHOWN for i in range(min(SHOWN, len(shown)))]
    write_picture(fits_picture(trainer, shown, rows), path)
