from __future__ import annotations

from pathlib import Path

import torch
from training_faces import small_model, small_recipe

from facebench.recon.training.augmentation import augmentation
from facebench.recon.training.batches import BatchSource
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.optimise import computing_in
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.workers import Worker

CPU = torch.device("cpu")


def test_auto_is_float32_on_a_processor() -> None:
    for precision, expected in (("auto", torch.float32), ("bfloat16", torch.bfloat16)):
        with computing_in(precision, CPU):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


def test_half_the_bits_train_alike_and_everything_kept_is_float32(faces: Path) -> None:
    shards, plain = FaceShards(faces), small_recipe("optimiser.warmup_steps=0")
    batch = BatchSource(shards, 4, 48, 0, augmentation(plain.augmentation)).batch(0)
    losses = {}
    for precision in ("float32", "bfloat16"):
        recipe = small_recipe("optimiser.warmup_steps=0", f"network.precision={precision}")
        trainer = Trainer(recipe, small_model(), Worker())
        reports = [trainer.training_step(batch) for _ in range(8)]
        losses[precision] = [report.total for report in reports]
        assert {value.dtype for value in trainer.regressor.parameters()} == {torch.float32}
        assert trainer.estimate(batch.images)[0].pose.dtype == torch.float32
    assert losses["bfloat16"][0] == losses["float32"][0]  # the head starts at zero
    assert losses["bfloat16"][1] != losses["float32"][1]
    falls = {precision: values[0] - values[-1] for precision, values in losses.items()}
    assert falls["bfloat16"] > 0.7 * falls["float32"] > 0.0
