"""How long a training step takes, and where: `python tests/benchmarks/training.py`.

Prints seconds a step of `ours-embedded` on random photographs and their share by part, in
processor time, so that the figures hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from facebench.recon.losses.supervision import Supervision
from facebench.recon.morphable.load import load_model
from facebench.recon.recipe_files import load_recipe
from facebench.recon.training.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="ours-embedded")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = load_recipe(arguments.recipe)
    trainer = Trainer(recipe, load_model(arguments.model), 0, torch.device("cpu"))
    batch = random_batch(recipe.training.batch_size, recipe.network.image_size)
    landmarks_only = median(lambda: step(trainer, batch, at=0), arguments.repeat)
    drawn = median(lambda: step(trainer, batch, at=recipe.training.steps), arguments.repeat)
    network = median(lambda: network_alone(trainer, batch), arguments.repeat)
    size = recipe.training.batch_size
    print(f"{recipe.name}, batch {size}, {arguments.threads} threads, processor seconds a step")
    print(f"  landmarks only  {landmarks_only:.3f}")
    print(f"  with pixels     {drawn:.3f}")
    print(f"  network alone   {network:.3f}  ({network / drawn:.0%} of a step with pixels)")


def random_batch(size: int, side: int) -> Supervision:
    """Noise with landmarks and a mask of skin."""
    torch.manual_seed(0)
    masks = torch.ones(size, side, side, dtype=torch.long)
    return Supervision(torch.rand(size, 3, side, side), torch.rand(68, 2, size) * side, masks)


def step(trainer: Trainer, batch: Supervision, at: int) -> None:
    """One step as at a given place of the training."""
    trainer.step = at
    trainer.advance(batch)


def network_alone(trainer: Trainer, batch: Supervision) -> None:
    """The regressor forwards and backwards."""
    images = batch.images.contiguous(memory_format=torch.channels_last)
    torch.autograd.backward(trainer.regressor(images).vector().square().sum())


def median(work: Callable[[], None], repeat: int) -> float:
    """Median processor time of some calls, after two to warm up."""
    times = []
    for _ in range(repeat + 2):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return sorted(times[2:])[repeat // 2]


if __name__ == "__main__":
    main()
