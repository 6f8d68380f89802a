"""What `augmentation.cover` costs: processor time of a photograph with it over that without.

A photograph is a synthetic one, stored at 112 px, resampled to the parser's side and changed as the
recipe says; then the share of a whole training step of the same recipe.

    python tests/benchmarks/covering.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.recipes.vision import ParserRecipe
from facebench.recon.synthetic.faces import FaceSampler
from facebench.recon.training.augmentation import random_change
from facebench.recon.training.batches import Transform, collate, resize_sample
from facebench.recon.training.shards import Sample
from facebench.recon.training.tasks.parser import ParserLearner

SHARE = 0.5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--recipe", default="parser-embedded")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    recipe = load_any_recipe(given.recipe)
    assert isinstance(recipe, ParserRecipe)
    face = FaceSampler(load_model("embedded"), 1, 112).face(0, 0)
    stored = Sample(face.image, face.landmarks, face.mask)
    changes = {cover: changing(recipe, cover) for cover in (0.0, SHARE)}
    number, side = recipe.training.batch_size, recipe.network.image_size
    made = {c: least(lambda c=c: batch(stored, changes[c], side, number), given) for c in changes}
    step = least(training_step(recipe, batch(stored, changes[0.0], side, number)), given)
    print(f"{number} photographs of {side} px, covered {SHARE:.0%}: {1000 * made[SHARE]:.0f} ms,")
    print(f"{made[SHARE] / made[0.0]:.2f} times that without covers;")
    whole = step + made[0.0]
    print(f"a step with them {1 + (made[SHARE] - made[0.0]) / whole:.3f} times one without")


def changing(recipe: ParserRecipe, cover: float) -> Transform:
    """The recipe's random change with another share of covers."""
    return random_change(replace(recipe, augmentation=replace(recipe.augmentation, cover=cover)))


def batch(stored: Sample, change: Transform, side: int, number: int) -> list[Sample]:
    """A batch's photographs."""
    return [change(resize_sample(stored, side), np.random.default_rng(k)) for k in range(number)]


def training_step(recipe: ParserRecipe, samples: list[Sample]) -> Callable[[], object]:
    """Forward and backward pass of a batch."""
    learner, truth = ParserLearner(recipe), collate(samples)
    nobody, noise = torch.zeros(len(samples)), torch.zeros(len(samples), 5, 2)

    def step() -> None:
        levels = learner(truth.images, truth.landmarks, truth.masks, nobody, noise)
        sum(levels.values(), torch.zeros(())).backward()

    return step


def least(work: Callable[[], object], given: argparse.Namespace) -> float:
    """Least processor time of several rounds in seconds."""
    times = []
    for _ in range(given.rounds + 1):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times[1:])


if __name__ == "__main__":
    main()
