"""Two processes that take one step together, as `facebench train --workers 2` would."""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
from normalised_together import normalise_shares, part
from small_recogniser import small_recogniser
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from training_faces import small_model, small_recipe

from facebench.recon.losses.multilevel import Supervision
from facebench.recon.recipes.files import load_any_recipe, training_of
from facebench.recon.recipes.vision import VisionRecipe
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.tasks.task import PeopleBatch, TaskTrainer
from facebench.recon.training.workers import DistributedGroup, ProcessGroup, Worker

SETTINGS = (
    "loss.weights.identity=0.24",
    "loss.weights.reflectance=0.1",
    "loss.weights.light_balance=0.1",
    "optimiser.gradient_limit=0",
)
PEOPLE = 3
VISION_SETTINGS = ("network.width=4", "network.image_size=64", "optimiser.gradient_limit=0")
VISION_SETTINGS_OF: dict[str, tuple[str, ...]] = {
    "landmarker": (),
    "parser-embedded": ("hard_pixels.probability=1e-9", "hard_pixels.share=0.3"),
    "recogniser-embedded": ("network.outputs=8", "photograph_side=48", "point_noise=1.0"),
}


def make_trainer(group: ProcessGroup) -> Trainer:
    """A trainer whose head is not zero, so that every layer has a gradient."""
    distribute = DistributedDataParallel if group.count > 1 else None
    around = Worker(distribute=distribute, group=group)
    trainer = Trainer(small_recipe(*SETTINGS), small_model(), around, small_recogniser())
    with torch.no_grad():
        random = torch.Generator().manual_seed(1)
        weight = trainer.regressor.backbone.fc.weight
        weight.copy_(0.02 * torch.randn(weight.shape, generator=random))
    return trainer


def one_step(batch: Supervision, group: ProcessGroup) -> dict[str, object]:
    """Gradients and state after a step on a batch, and whether it was applied."""
    trainer = make_trainer(group)
    report = trainer.training_step(batch)
    gradients = {name: value.grad for name, value in trainer.regressor.named_parameters()}
    return {
        "applied": report.applied,
        "gradients": gradients,
        "state": trainer.regressor.state_dict(),
    }


def alone(batch: Supervision) -> dict[str, object]:
    """The step of one worker."""
    return one_step(batch, ProcessGroup())


def task_recipe(kind: str) -> VisionRecipe:
    """A small recipe of a task."""
    recipe = load_any_recipe(kind, [*VISION_SETTINGS, *VISION_SETTINGS_OF[kind]])
    assert isinstance(recipe, VisionRecipe)
    return recipe


def task_step(kind: str, batch: PeopleBatch, group: ProcessGroup) -> dict[str, object]:
    """The same of one of the networks that photographs are prepared with."""
    recipe = task_recipe(kind)

    def in_doubles(learner: nn.Module) -> nn.Module:
        """So that what differs is the method, not the rounding."""
        learner.double()
        return DistributedDataParallel(learner) if group.count > 1 else learner

    make = partial(training_of(recipe), recipe, PEOPLE)
    around = Worker(distribute=in_doubles, group=group)
    trainer = TaskTrainer(recipe, make, "", around)
    report = trainer.training_step(batch)
    gradients = {
        name: value.grad
        for name, value in trainer.learner.named_parameters()
        if value.grad is not None
    }
    state = trainer.learner.state_dict()
    return {"applied": report.applied, "gradients": gradients, "state": state}


def share(batch: Supervision, places: list[int]) -> Supervision:
    """Some photographs of a batch."""
    parts: list[Tensor] = [batch.images[places], batch.landmarks[:, :, places], batch.masks[places]]
    return Supervision(*parts)


def worker_step(content: dict[str, Any], group: DistributedGroup) -> dict[str, object]:
    """The step of one of the workers on its share of what a file holds."""
    batch = Supervision(**content["truth"])
    places = list(range(group.rank, len(batch.images), group.count))
    mine = share(batch, places)
    if content["kind"] == "regressor":
        return one_step(mine, group)
    people = PeopleBatch(mine, content["people"][places], content["noise"][places])
    return task_step(content["kind"], people, group)


def work(folder: Path, rank: int, workers: int) -> None:
    """One of the workers: its share of every `NAME.pt` in, `NAME-RANK.found` out.

    And `RANK.normalised`: its shares of the cases of batch normalisation.
    """
    torch.set_num_threads(1)
    store = distributed.FileStore(str(folder / "store"), workers)
    wait = timedelta(seconds=120)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=workers, timeout=wait)
    for path in sorted(folder.glob("*.pt")):
        found = worker_step(torch.load(path, weights_only=True), DistributedGroup(rank, workers))
        torch.save(found, folder / f"{path.stem}-{rank}.found")
    torch.save(normalise_shares(rank), folder / f"{rank}.normalised")
    distributed.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    # Of PyTorch a third, with the first learner of several workers: here once for both.
    import torch._dynamo

    make_trainer(ProcessGroup())
    work(Path(sys.argv[1]), part(2), 2)
