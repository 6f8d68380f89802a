"""Minutes of a training as a number of steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from training_faces import small_recipe

from facebench.errors import FacebenchError
from facebench.recon.training.run import Budget, TrainingJob, within_minutes


def job_in(folder: Path) -> TrainingJob:
    return TrainingJob(folder / "faces", small_recipe(), "embedded", folder)


def train_at(*rates: float) -> Callable[[TrainingJob], None]:
    def train(trial: TrainingJob) -> None:
        for line, rate in enumerate(rates, start=1):
            trial.folder.append(trial.folder.log, {"step": 4.0 * line, "images_per_s": rate})

    return train


def test_the_trial_weighs_slow_parts_by_their_share_and_leaves_out_the_start(
    tmp_path: Path,
) -> None:
    train = train_at(1.0, 20.0, 20.0, 10.0, 10.0)
    budget = within_minutes(job_in(tmp_path), 2.0, train)
    # Three fifths of the photographs at 20 a second, two fifths at 10; batches of four.
    rate = 1.0 / (0.6 / 20.0 + 0.4 / 10.0)
    assert budget == Budget(2.0, pytest.approx(rate), int(120 * rate / 4))
    assert not list(tmp_path.glob(".trial-*"))


def test_the_speed_is_measured_once(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    first = within_minutes(job, 1.0, train_at(*[8.0] * 5))
    later = within_minutes(job, 3.0, train_at(*[80.0] * 5))
    assert (first.steps, later.steps) == (120, 360)
    (tmp_path / "budget.json").write_text('{"minutes": 3}')
    with pytest.raises(FacebenchError, match="images_per_s"):
        within_minutes(job, 3.0, train_at())
    small = replace(job, out=tmp_path / "small")
    small.out.mkdir()
    with pytest.raises(FacebenchError, match="leave no step"):
        within_minutes(small, 0.001, train_at(*[8.0] * 5))
