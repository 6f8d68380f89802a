"""Recipe `mofa`: it trains, and no parsing tells it what is face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from training_faces import SETTINGS, SIZE, small_model

from facebench.recon.recipes.files import load_recipe
from facebench.recon.recipes.regressor import AugmentationRecipe
from facebench.recon.synthetic.appearance import CLASS_NAMES
from facebench.recon.training.augmentation import augmentation
from facebench.recon.training.batches import BatchSource
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.workers import Worker


def test_it_is_ours_without_recogniser_and_parsing() -> None:
    ours, mofa = load_recipe("ours-outline").as_table(), load_recipe("mofa").as_table()
    assert mofa["loss"]["weights"].pop("identity") == 0.0 < ours["loss"]["weights"].pop("identity")
    assert mofa["loss"].pop("mask") == dict.fromkeys(CLASS_NAMES, 1.0) != ours["loss"].pop("mask")
    for names in (mofa, ours):
        del names["name"], names["kind"], names["title"]
    assert mofa == ours


def test_it_trains_and_no_mask_matters(faces: Path) -> None:
    recipe = load_recipe("mofa-embedded", [*SETTINGS, "optimiser.warmup_steps=0"])
    trainer = Trainer(recipe, small_model(), Worker())
    unchanged = augmentation(AugmentationRecipe())
    truth = BatchSource(FaceShards(faces), 4, SIZE, 0, unchanged).batch(0)
    found = trainer.estimate(truth.images)[0]
    blind = replace(truth, masks=torch.full_like(truth.masks, CLASS_NAMES.index("hat")))
    pixels = [trainer.terms(found, seen)["pixel"] for seen in (truth, blind)]
    assert torch.equal(*pixels) and pixels[0] > 0
    totals = [trainer.training_step(truth).total for _ in range(5)]
    assert totals[-1] < totals[0]
