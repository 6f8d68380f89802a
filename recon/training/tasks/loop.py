"""The training loop of a network for photographs, and its batches, which say who is in each one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....errors import FacebenchError
from ...export.mesh_files import write_picture
from ...network.vision_weights import load_network, save_network
from ...recipes.files import training_of
from ...recipes.vision import VisionRecipe
from ..augmentation import random_change
from ..batches import BatchSource, Photographs, collate
from ..loop import Listener, Loop, TrainingFolder
from ..optimise import Row
from ..shards import FaceShards, Sample, rows_without_mask
from ..workers import Worker
from .parser import CelebAMaskFaces
from .recogniser import number_people, subjects_of
from .task import MakeLearner, PeopleBatch, TaskTrainer

if TYPE_CHECKING:
    from ..run import TrainingJob

_POINTS = 3
"""Stream of the points' noise; the second views of the face regressor have 1 and 2."""


def join_people(
    people: NDArray[np.int64],
    seed: int,
    batch_size: int,
    samples: Sequence[Sample],
    rows: Sequence[int],
    places: Sequence[int],
    step: int,
) -> PeopleBatch:
    """The batch of photographs with the person (rows,) in each row; see `Join`.

    Args:
        people: number of the person in each row of the data.
        seed: of the points' noise.
        batch_size: of all workers together.
        samples, rows, places, step: as for `Join`.
    """
    # For the whole batch, then each photograph's own by its place: workers need not agree on it.
    noise = point_noise(seed, step, batch_size)
    return PeopleBatch(
        collate(samples),
        torch.from_numpy(people[list(rows)]),
        torch.from_numpy(noise[list(places)]),
    )


def point_noise(seed: int, step: int, places: int) -> NDArray[np.float32]:
    """Standard normal noise (places, 5, 2) of the five points of every photograph of a step.

    It follows from seed, step and place alone: a resumed training and one of other workers draw
    the same.
    """
    # Four numbers, where the order and augmentation of photographs are seeded by three.
    random = np.random.default_rng([seed, step, 0, _POINTS])
    return random.standard_normal((places, 5, 2)).astype(np.float32)


def task_loop(job: TrainingJob, recipe: VisionRecipe, worker: Worker, listen: Listener) -> Loop:
    """Everything one worker needs, from the files the job names.

    Raises:
        FacebenchError: unusable data, or a recipe that does not suit it.
    """
    photographs = open_photographs(job.data, job.limit)
    held_out = open_photographs(job.validation) if job.validation else None
    people = _people(recipe, photographs)
    # As many directions as people, whether or not their photographs can be read.
    make: MakeLearner = partial(training_of(recipe), recipe, int(people.max()) + 1)
    start = _starting_weights(job.first_weights, recipe) if job.first_weights else None
    worker = replace(worker, seed=job.seed, start=start)
    source = BatchSource(
        shards=photographs,
        batch_size=recipe.training.batch_size,
        image_size=recipe.photograph_size,
        seed=job.seed,
        transform=random_change(recipe),
        group=worker.group,
        join=partial(join_people, people, job.seed, recipe.training.batch_size),
    )
    trainer = TaskTrainer(recipe, make, photographs.model_digest, worker)
    validate = partial(_measure, trainer, held_out) if held_out is not None else None
    shown = photographs if held_out is None else held_out
    finish = partial(_finish, job.folder, trainer, shown)
    job.out.mkdir(parents=True, exist_ok=True)
    return Loop(trainer, source, job.folder, validate, finish, listen)


def _starting_weights(path: Path, recipe: VisionRecipe) -> dict[str, Tensor]:
    """Weights of the recipe's own network.

    Raises:
        FacebenchError: no such file, or a network of another kind or size.
    """
    weights, other = load_network(path, type(recipe))
    if other.as_table()["network"] != recipe.as_table()["network"]:
        raise FacebenchError(
            f"{path} holds a {recipe.kind} of another size than the recipe's",
            "leave out --start, or change the recipe's network",
        )
    return weights


def open_photographs(folder: Path, limit: int | None = None) -> FaceShards | CelebAMaskFaces:
    """The labelled photographs of a folder: shards, or CelebAMask-HQ as it is distributed."""
    if CelebAMaskFaces.is_at(folder):
        return CelebAMaskFaces(folder, limit)
    return FaceShards(folder, limit)


def _people(recipe: VisionRecipe, photographs: Photographs) -> NDArray[np.int64]:
    """Number of the person in each photograph; all 0 where people are not distinguished."""
    _check_labels(recipe, photographs)
    if "people" not in recipe.needs:
        return np.zeros(len(photographs), dtype=np.int64)
    people = number_people(subjects_of(photographs))
    # One photograph of everybody or one person alone gives the margin nothing to compare.
    each = np.bincount(people)
    if len(each) < 2 or each.max() < 2:
        raise FacebenchError(
            f"{photographs.folder} holds {len(each)} people with at most {each.max()} photographs "
            f"each; a {recipe.kind} learns from several photographs of several people",
            "make some with 'facebench synth faces --subjects 1000 --frames 8'",
        )
    return people


def _check_labels(recipe: VisionRecipe, photographs: Photographs) -> None:
    if "landmarks" in recipe.needs and isinstance(photographs, CelebAMaskFaces):
        raise FacebenchError(
            f"{photographs.folder} has no landmarks to learn from",
            "make shards with 'facebench synth faces' or 'facebench prepare'",
        )
    # Parquet's own statistics tell: no picture is read for it.
    if "masks" in recipe.needs and (bare := rows_without_mask(photographs.folder)):
        raise FacebenchError(
            f"{bare} photographs in {photographs.folder} have no mask to learn from",
            "prepare them with masks beside the photographs or with --parser",
        )


def _measure(trainer: TaskTrainer, held_out: Photographs) -> Row:
    measures = trainer.learner.measure(held_out, trainer.device)
    return {"step": float(trainer.step)} | measures


def _finish(folder: TrainingFolder, trainer: TaskTrainer, shown: Photographs) -> None:
    """Leave the weights for inference and a picture of what was learned."""
    state = trainer.learner.weights()
    save_network(folder.weights, state, trainer.recipe, trainer.step, trainer.seed)
    picture = trainer.learner.picture(shown, trainer.device)
    write_picture(picture, folder.fits)
