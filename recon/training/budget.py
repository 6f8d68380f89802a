"""How many steps of a training fit into so many minutes of this machine: measured once, then kept.

A schedule needs its last step before its first, so the number cannot be left to a clock that runs
beside it. It stands in `budget.json`: resumed, a training keeps its number of steps, and on another
machine `--steps` with that number repeats it exactly.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...errors import FacebenchError, error_line
from ..files.records import Count, Positive, bind
from ..files.text import read_json, write_json
from .methods.labels import label_minutes
from .run import TrainingJob

TRIAL_LINES = 5
"""Of the log: terms of a loss that begin later, as pixels do, get their share of the trial."""
TRIAL_EVERY = 4
"""Steps between them."""


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
