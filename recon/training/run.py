"""A training as asked for: its data, model and results, its steps, and how it begins and ends.

Where a training is bounded by minutes, its steps are measured once, then kept: a schedule needs its
last step before its first, so the number cannot be left to a clock that runs beside it. It stands
in `budget.json`: resumed, a training keeps its number of steps, and on another machine `--steps`
with that number repeats it exactly.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ...errors import FacebenchError, error_line
from ..files.mirror import fetch
from ..files.records import Count, Positive, bind
from ..files.text import read_json, write_json
from ..files.writing import lock_rank_zero
from ..network.tensor_files import read_content
from ..recipes.files import AnyRecipe, recipe_from_table
from ..recipes.regressor import Recipe, RegressorRecipe
from .loop import Listener, Loop, TrainingFolder, check_settings
from .methods.labels import label_minutes
from .methods.loop import regressor_loop
from .methods.ours import has_recogniser
from .workers import Worker

_PATHS = ("data", "out", "validation", "start")

TRIAL_LINES = 5
"""Of the log: terms of a loss that begin later, as pixels do, get their share of the trial."""
TRIAL_EVERY = 4
"""Steps between them."""


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

    @property
    def first_weights(self) -> Path | None:
        """`start`; None once there is a checkpoint: a resumed training has weights of its own."""
        return None if self.folder.checkpoint.is_file() else self.start

    def steps_done(self) -> int:
        """Steps of the folder's checkpoint; 0 before the first.

        Raises:
            FacebenchError: the folder's training is of another recipe or seed.
        """
        path = self.folder.checkpoint
        if not path.is_file():
            return 0
        content = read_content(path)
        check_settings(path, content, self.recipe, self.seed)
        return int(content["steps"])

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
        # All read the checkpoint only now, when no other command can write another one.
        worker.group.all(torch.ones((), dtype=torch.bool, device=worker.device))
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
    """Load everything once, so that bad input is refused before workers are started for it.

    Raises:
        FacebenchError: unusable data, model or checkpoint.
    """
    # Resuming reads the checkpoint, too: another recipe or a damaged file is told before workers
    # start.
    make_loop(job, Worker(), lambda row: None).resume()


@dataclass(frozen=True)
class Budget:
    """What a training was given.

    Attributes:
        minutes: of its steps and the fits it learns from, as tables count them.
        images_per_s: photographs a second that this machine learns from, of all workers.
        steps: that fit.
    """

    minutes: Positive
    images_per_s: Positive
    steps: Count


def within_minutes(
    job: TrainingJob, minutes: float, train: Callable[[TrainingJob], None]
) -> Budget:
    """The budget of a training, from its folder or from a trial of twenty steps.

    Args:
        job: the training; fits that it learns from are there already.
        minutes: all that it may take.
        train: trains a job to its end.

    Raises:
        FacebenchError: the fits alone took the time, or the folder's record cannot be read.
    """
    path = job.out / "budget.json"
    kept = _read(path) if path.is_file() else None
    if kept and kept.minutes == minutes:
        return kept
    # Given more minutes the training goes on at the speed that was measured, not at today's.
    rate = kept.images_per_s if kept else _trial(job, train)
    left = minutes - label_minutes(job.folder.labels)
    steps = math.floor(60.0 * left * rate / job.recipe.training.batch_size)
    if steps < 1:
        raise FacebenchError(
            f"{minutes:g} minutes leave no step beside the fits to learn from, or are below one",
            "give more minutes, or fewer photographs with --limit",
        )
    budget = Budget(minutes, rate, steps)
    write_json(path, asdict(budget))
    return budget


def _read(path: Path) -> Budget:
    try:
        return bind(Budget, read_json(path), str(path))
    except (OSError, ValueError) as error:
        said = f"{path} cannot be read ({error_line(error)})"
        raise FacebenchError(said, "remove it; the speed is measured again") from error


def _trial(job: TrainingJob, train: Callable[[TrainingJob], None]) -> float:
    """Photographs a second in a training of a few steps, of which nothing is kept."""
    if job.steps_done():
        check_job(job)  # of other photographs or another model: nothing to try then
    steps = TRIAL_LINES * TRIAL_EVERY
    times = replace(job.recipe.training, steps=steps, log_every=TRIAL_EVERY, checkpoint_every=steps)
    for left in job.out.glob(".trial-*"):  # by a command that was killed in it
        shutil.rmtree(left, ignore_errors=True)
    # In the training's folder, which every worker of a cluster can reach.
    with tempfile.TemporaryDirectory(dir=job.out, prefix=".trial-") as name:
        trial = replace(
            job, out=Path(name), recipe=replace(job.recipe, training=times), validation=None
        )
        if job.folder.labels.is_dir():
            shutil.copytree(job.folder.labels, trial.folder.labels)
        train(trial)
        rates = [row["images_per_s"] for row in trial.folder.read(trial.folder.log)]
    # At first memory is cold and kernels are chosen, which a long training does not feel.
    rates[0] = rates[1]
    return len(rates) / sum(1.0 / rate for rate in rates)
