from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_faces import small_recipe

from facebench.recon.losses.multilevel import Supervision
from facebench.recon.training.optimise import DivergedError, NonFiniteGuard, StepReport
from facebench.recon.training.run import TrainingJob, train_worker
from facebench.recon.training.workers import Worker

GOOD, BAD = StepReport(1.0, {}, 2, True), StepReport(float("nan"), {}, 2, False)


def batch() -> Supervision:
    return Supervision(torch.rand(2, 3, 8, 8), torch.rand(68, 2, 2), torch.ones(2, 8, 8).long())


def test_only_steps_in_a_row_count_and_the_batch_is_kept(tmp_path: Path) -> None:
    guard, last = NonFiniteGuard(3, tmp_path, rank=1), batch()
    for number, report in enumerate((BAD, BAD, GOOD, BAD, BAD), start=1):
        guard.check(report, batch(), number)
    with pytest.raises(DivergedError, match="3 steps in a row, the last of them 6") as error:
        guard.check(BAD, last, 6)
    path = tmp_path / "not-finite-step-6-worker-1.pt"
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    kept = torch.load(path, weights_only=True)
    assert torch.equal(kept["images"], last.images)
    assert torch.equal(kept["landmarks"], last.landmarks)


def test_a_training_that_diverges_stops(faces: Path, tmp_path: Path) -> None:
    recipe = small_recipe(
        "optimiser.learning_rate=1e30",
        "optimiser.warmup_steps=0",
        "optimiser.gradient_limit=0",
        "training.steps=40",
        "training.skipped_in_a_row=4",
    )
    job = TrainingJob(faces, recipe, str(faces.parent / "model.npz"), tmp_path)
    with pytest.raises(DivergedError, match="not finite"):
        train_worker(job, Worker(), lambda row: None)
    (kept,) = tmp_path.glob("not-finite-*.pt")
    assert set(torch.load(kept, weights_only=True)) == {"images", "landmarks", "masks"}
