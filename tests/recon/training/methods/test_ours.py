from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_faces import small_model, small_recipe

from facebench.recon.losses.landmarks import landmark_loss
from facebench.recon.recipes.regressor import OptimiserRecipe
from facebench.recon.training.augmentation import augmentation
from facebench.recon.training.batches import BatchSource
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.optimise import learning_rate
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.workers import Worker

CPU = torch.device("cpu")


def batches(faces: Path) -> BatchSource:
    recipe = small_recipe()
    return BatchSource(FaceShards(faces), 4, 48, 0, augmentation(recipe.augmentation))


def test_a_few_steps_on_one_batch_bring_the_loss_down(faces: Path) -> None:
    recipe = small_recipe("training.steps=25", "optimiser.warmup_steps=0")
    trainer, batch = Trainer(recipe, small_model(), Worker()), batches(faces).batch(0)
    reports = [trainer.training_step(batch) for _ in range(25)]
    assert reports[-1].total < 0.6 * reports[0].total
    assert reports[-1].terms["landmark"] < 0.6 * reports[0].terms["landmark"]
    assert all(report.applied for report in reports)


def test_total_is_the_weighted_sum_of_the_levels(faces: Path) -> None:
    trainer = Trainer(small_recipe(), small_model(), Worker())
    report = trainer.training_step(batches(faces).batch(0))
    weights = trainer.recipe.loss.weights
    expected = sum(getattr(weights, name) * value for name, value in report.terms.items())
    assert report.total == pytest.approx(expected, rel=1e-5)


def test_a_network_that_sees_landmarks_is_taught_them(faces: Path) -> None:
    settings = ("network.pooling=places", "loss.weights.seen=0.3", "optimiser.warmup_steps=0")
    trainer = Trainer(small_recipe(*settings, "training.steps=30"), small_model(), Worker())
    batch = batches(faces).batch(0)
    reports = [trainer.training_step(batch) for _ in range(30)]
    assert reports[-1].terms["seen"] < 0.95 * reports[0].terms["seen"]
    _, places = trainer.estimate(batch.images)
    assert places is not None
    expected = landmark_loss(places.permute(1, 2, 0), batch.landmarks, torch.ones(68, 4), 48)
    torch.testing.assert_close(trainer.loss.seen(places, batch), expected)


def test_identity_level_is_absent_not_zero(faces: Path) -> None:
    trainer = Trainer(small_recipe("loss.weights.identity=0.2"), small_model(), Worker())
    assert "identity" not in trainer.training_step(batches(faces).batch(0)).terms


def test_nothing_is_drawn_before_the_pixels_count(faces: Path) -> None:
    trainer = Trainer(
        small_recipe("loss.pixel_from=0.5", "training.steps=4", "training.log_every=2"),
        small_model(),
        Worker(),
    )
    seen = ["pixel" in trainer.training_step(batches(faces).batch(step)).terms for step in range(3)]
    assert seen == [False, False, True]


def test_landmarks_are_the_same_drawn_or_not(faces: Path) -> None:
    trainer = Trainer(small_recipe(), small_model(), Worker())
    found = trainer.regressor.eval()(batches(faces).batch(0).images)
    torch.testing.assert_close(trainer.face(found)[1], trainer.face.landmarks(found))


@pytest.mark.parametrize("what", ["landmarks", "images"])
def test_a_step_that_is_not_finite_changes_no_weight(faces: Path, what: str) -> None:
    trainer, batch = Trainer(small_recipe(), small_model(), Worker()), batches(faces).batch(0)
    trainer.training_step(batch)
    before = [parameter.clone() for parameter in trainer.regressor.parameters()]
    spoilt = getattr(batch, what).clone()
    spoilt[3, 0, 0] = math.inf
    report = trainer.training_step(replace(batch, **{what: spoilt}))
    assert not report.applied
    assert (trainer.step, trainer.skipped) == (2, 1)
    for old, new in zip(before, trainer.regressor.parameters(), strict=True):
        torch.testing.assert_close(old, new.detach(), rtol=0, atol=0)


def test_unknown_landmarks_have_no_part(faces: Path) -> None:
    trainer, batch = Trainer(small_recipe(), small_model(), Worker()), batches(faces).batch(0)
    landmarks = batch.landmarks.clone()
    landmarks[:30] = math.nan
    landmarks[:, :, 1] = math.nan
    report = trainer.training_step(replace(batch, landmarks=landmarks))
    assert report.applied
    assert math.isfinite(report.total)


def test_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    recipe = OptimiserRecipe(learning_rate=2.0, schedule="cosine", warmup_steps=10)
    assert learning_rate(recipe, 0, 110) == pytest.approx(0.2)
    assert learning_rate(recipe, 10, 110) == pytest.approx(2.0)
    assert learning_rate(recipe, 60, 110) == pytest.approx(1.0)
    assert learning_rate(recipe, 110, 110) == pytest.approx(0.0)
    constant = OptimiserRecipe(learning_rate=2.0)
    assert learning_rate(constant, 90, 100) == 2.0
