"""A training as asked for: where its data, model and results are, and how it begins and ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..files.mirror import fetch
from ..files.writing import lock_rank_zero
from ..network.tensor_files import read_content
from ..recipes.files import AnyRecipe, recipe_from_table
from ..recipes.regressor import Recipe, RegressorRecipe
from .loop import Listener, Loop
from .methods.loop import regressor_loop
from .methods.ours import has_recogniser
from .state import TrainingFolder
from .workers import SINGLE_PROCESS, DistributedGroup, ProcessGroup

Distribute = Callable[[Any], nn.Module]

# Enough for the batches of one GPU; each reader keeps row groups of its own in memory.
_MOST_READERS = 8
_PATHS = ("data", "out", "validation", "start")


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
        start: file of the weights that the network begins with, or None; only read before the
            folder has a checkpoint of its own.
    """

    data: Path
    recipe: AnyRecipe
    model: str
    out: Path
    seed: int = 0
    validation: Path | None = None
    limit: int | None = None
    threads: int = 0
    start: Path | None = None

    @property
    def folder(self) -> TrainingFolder:
        """Where its checkpoint, weights and log are."""
        return TrainingFolder(self.out)

    def steps_done(self) -> int:
        """Steps of the folder's checkpoint; 0 before the first."""
        path = self.folder.checkpoint
        return int(read_content(path)["steps"]) if path.is_file() else 0

    def is_complete(self) -> bool:
        """Whether the training left all that it leaves at its end."""
        # Weights alone could be those of a training that was stopped while it drew its pictures.
        names = ("weights.pt", "fits.png", "curves.png")
        return all((self.out / name).is_file() for name in names)

    def as_table(self) -> dict[str, Any]:
        """Plain values, for a worker in another process."""
        paths = {name: getattr(self, name) for name in _PATHS}
        return asdict(self) | {name: str(path) if path else None for name, path in paths.items()}

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> TrainingJob:
        """The job of `as_table`'s values."""
        values = dict(table)
        values["recipe"] = recipe_from_table(values["recipe"])
        for name in _PATHS:
            # A path of None stays None: `Path(None)` would be an error on the worker only.
            values[name] = Path(values[name]) if values[name] else None
        return cls(**values)


@dataclass(frozen=True)
class Worker:
    """One of the processes that train together.

    Attributes:
        device: where it computes.
        rank: which one, from 0.
        workers: how many.
        distribute: makes its regressor part of theirs, or None when it is alone. PyTorch's default
            process group is then the workers'.
    """

    device: torch.device
    rank: int = 0
    workers: int = 1
    distribute: Distribute | None = None

    @property
    def peers(self) -> ProcessGroup:
        """The workers seen from this one."""
        return DistributedGroup(self.rank, self.workers) if self.workers > 1 else SINGLE_PROCESS

    @property
    def readers(self) -> int:
        """How many batches are prepared at a time: as many as keep a GPU busy, else one."""
        if self.device.type != "cuda":
            return 1
        # One core is left to the process that keeps the GPU busy.
        return max(1, min(_MOST_READERS, (os.cpu_count() or 1) - 1))


def train_worker(job: TrainingJob, worker: Worker, listen: Listener) -> int:
    """Train one worker's share from wherever the folder stands; the steps done at the end.

    Raises:
        FacebenchError: unusable data, model or checkpoint.
        KeyboardInterrupt: after the state was saved.
    """
    if job.threads:
        # Before anything is built: sums in another number of threads end in other last digits.
        torch.set_num_threads(job.threads)
    loop = make_loop(job, worker, listen)
    with lock_rank_zero(job.out) if loop.is_rank_zero else nullcontext():
        # All read the checkpoint only now, when nobody else can write another one.
        worker.peers.all(torch.ones((), dtype=torch.bool, device=worker.device))
        loop.resume()
        try:
            loop.run()
        except KeyboardInterrupt:
            # Rank 0 alone: all workers hold the same weights.
            if loop.is_rank_zero:
                loop.save()
            raise
        if loop.is_rank_zero:
            loop.conclude()
    return loop.trainer.step


def make_loop(job: TrainingJob, worker: Worker, listen: Listener) -> Loop:
    """Everything one worker needs, from the files the job names."""
    # On this machine, which may be another one than the command's.
    for path in (job.data, job.validation, job.start, Path(job.model)):
        if path is not None:
            fetch(path, whole=True)
    if isinstance(job.recipe, RegressorRecipe):
        return regressor_loop(job, job.recipe, worker, listen)
    # Here, so that a regressor's training does not load what only the other networks need.
    from .tasks.loop import task_loop

    return task_loop(job, job.recipe, worker, listen)


def lacks_recogniser(recipe: AnyRecipe) -> bool:
    """Whether the identity term is asked for and left out, because there is no recogniser."""
    return (
        isinstance(recipe, Recipe)
        and recipe.loss.weights.identity > 0
        and not has_recogniser(recipe.identity)
    )


def check_job(job: TrainingJob) -> None:
    """Load everything once, so that bad input is told before workers are started for it.

    Raises:
        FacebenchError: unusable data, model or checkpoint.
    """
    # Resuming reads the checkpoint, too: another recipe or a damaged file is told before workers
    # start.
    make_loop(job, Worker(torch.device("cpu")), lambda row: None).resume()
