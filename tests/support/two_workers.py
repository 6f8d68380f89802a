"""Two processes that take one step together, as `facebench train --workers 2` would."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import torch
from small_recogniser import small_recogniser
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel
from training_faces import small_model, small_recipe

from facebench.recon.losses.supervision import Supervision
from facebench.recon.training.peers import Alone, Peers, Together
from facebench.recon.training.trainer import Trainer

SETTINGS = (
    "loss.weights.identity=0.24",
    "loss.weights.reflectance=0.1",
    "loss.weights.light_balance=0.1",
    "optimiser.gradient_limit=0",
)


def make_trainer(peers: Peers) -> Trainer:
    """A trainer whose head is not zero, so that every layer has a gradient."""
    distribute = DistributedDataParallel if peers.count > 1 else None
    recipe = small_recipe(*SETTINGS)
    trainer = Trainer(
        recipe, small_model(), 0, torch.device("cpu"), distribute, peers, small_recogniser()
    )
    with torch.no_grad():
        random = torch.Generator().manual_seed(1)
        weight = trainer.regressor.backbone.fc.weight
        weight.copy_(0.02 * torch.randn(weight.shape, generator=random))
    return trainer


def one_step(batch: Supervision, peers: Peers) -> dict[str, object]:
    """Gradients and state after a step on a batch, and whether it was applied."""
    trainer = make_trainer(peers)
    report = trainer.advance(batch)
    gradients = {name: value.grad for name, value in trainer.regressor.named_parameters()}
    return {
        "applied": report.applied,
        "gradients": gradients,
        "state": trainer.regressor.state_dict(),
    }


def alone(batch: Supervision) -> dict[str, object]:
    """The step of one worker."""
    return one_step(batch, Alone())


def share(batch: Supervision, places: list[int]) -> Supervision:
    """Some photographs of a batch."""
    parts: list[Tensor] = [batch.images[places], batch.landmarks[:, :, places], batch.masks[places]]
    return Supervision(*parts)


def main(folder: Path, rank: int, workers: int) -> None:
    """One of the workers: its share of every `NAME.pt` in, `NAME-RANK.found` out."""
    torch.set_num_threads(1)
    store = distributed.FileStore(str(folder / "store"), workers)
    wait = timedelta(seconds=120)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=workers, timeout=wait)
    for path in sorted(folder.glob("*.pt")):
        batch = Supervision(**torch.load(path, weights_only=True))
        mine = share(batch, list(range(rank, len(batch.images), workers)))
        found = one_step(mine, Together(rank, workers))
        torch.save(found, folder / f"{path.stem}-{rank}.found")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
