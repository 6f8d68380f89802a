"""A training as asked for: where its data, model and results are, and how it begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from ..morphable.load import load_model
from ..network.checkpoint import read_content, save_weights
from ..network.regressor import FaceRegressor
from ..recipe import Recipe
from .augmentation import augmentation
from .batches import BatchSource
from .folder import TrainingFolder
from .loop import Listener, Loop
from .pictures import fits_picture
from .shards import FaceShards
from .trainer import Trainer
from .validation import Validation

Distribute = Callable[[FaceRegressor], nn.Module]

SHOWN = 6
"""Rows of the picture of fits."""


@dataclass(frozen=True)
class TrainingJob:
    """What `facebench train` was asked to do.

    Attributes:
        data: folder of shards to train on.
        recipe: how.
        model: the face model, as `load_model` takes it.
        out: the training's folder, which all workers can reach.
        seed: of weights, order and augmentation.
        validation: folder of shards of synthetic faces to validate on, or None.
        limit: rows of the data to use at most, or None.
        threads: PyTorch threads of each worker; 0 leaves PyTorch's choice.
    """

    data: Path
    recipe: Recipe
    model: str
    out: Path
    seed: int = 0
    validation: Path | None = None
    limit: int | None = None
    threads: int = 0

    @property
    def folder(self) -> TrainingFolder:
        """Where its checkpoint, weights and log are."""
        return TrainingFolder(self.out)

    def steps_done(self) -> int:
        """Steps of the folder's checkpoint; 0 before the first."""
        path = self.folder.checkpoint
        return int(read_content(path)["steps"]) if path.is_file() else 0

    def kept(self) -> bool:
        """Whether the training left all that it leaves at its end."""
        names = ("weights.pt", "fits.png", "curves.png")
        return all((self.out / name).is_file() for name in names)

    def as_table(self) -> dict[str, Any]:
        """Plain values, for a worker in another process."""
        paths = {name: str(getattr(self, name)) for name in ("data", "out")}
        validation = str(self.validation) if self.validation else None
        return asdict(self) | paths | {"validation": validation}

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> TrainingJob:
        """The job of `as_table`'s values."""
        values = dict(table)
        values["recipe"] = Recipe.from_table(values["recipe"])
        for name in ("data", "out", "validation"):
            values[name] = Path(values[name]) if values[name] else None
        return cls(**values)


@dataclass(frozen=True)
class Worker:
    """One of the processes that train together.

    Attributes:
        device: where it computes.
        rank: which one, from 0.
        workers: how many.
        distribute: makes its regressor part of theirs, or None when it is alone.
    """

    device: torch.device
    rank: int = 0
    workers: int = 1
    distribute: Distribute | None = None


def train_worker(job: TrainingJob, worker: Worker, listen: Listener) -> int:
    """Train one worker's share from wherever the folder stands; the steps done at the end.

    Raises:
        FacebenchError: unusable data, model or checkpoint.
        KeyboardInterrupt: after the state was saved.
    """
    if job.threads:
        torch.set_num_threads(job.threads)
    loop = make_loop(job, worker, listen)
    loop.resume()
    try:
        loop.run()
    except KeyboardInterrupt:
        if loop.leads:
            loop.save()
        raise
    if loop.leads:
        _finish(job, loop)
    return loop.trainer.step


def make_loop(job: TrainingJob, worker: Worker, listen: Listener) -> Loop:
    """Everything one worker needs, from the files the job names."""
    model = load_model(job.model)
    shards = FaceShards(job.data, job.limit)
    shards.check_model(model)
    recipe = job.recipe
    source = BatchSource(
        shards=shards,
        batch_size=recipe.training.batch_size,
        image_size=recipe.network.image_size,
        seed=job.seed,
        transform=augmentation(recipe.augmentation),
        rank=worker.rank,
        workers=worker.workers,
    )
    validate = Validation(FaceShards(job.validation), model) if job.validation else None
    trainer = Trainer(recipe, model, job.seed, worker.device, worker.distribute)
    job.out.mkdir(parents=True, exist_ok=True)
    return Loop(trainer, source, job.folder, validate, listen)


def check_job(job: TrainingJob) -> None:
    """Load everything once, so that bad input is told before workers are started for it.

    Raises:
        FacebenchError: unusable data, model or checkpoint.
    """
    make_loop(job, Worker(torch.device("cpu")), lambda row: None).resume()


def _finish(job: TrainingJob, loop: Loop) -> None:
    """Leave the weights for inference and a picture of fits."""
    trainer = loop.trainer
    save_weights(
        job.folder.weights,
        trainer.regressor,
        trainer.recipe,
        trainer.model_digest,
        trainer.step,
        trainer.seed,
    )
    shards = FaceShards(job.validation) if job.validation else loop.source.shards
    rows = [len(shards) * i // SHOWN for i in range(min(SHOWN, len(shards)))]
    Image.fromarray(fits_picture(trainer, shards, rows)).save(job.folder.fits)
