"""A recogniser too small to know anybody, with fixed random weights: a real network for tests."""

from __future__ import annotations

from pathlib import Path

import torch

from facebench.recon.network.resnet import IResNet
from facebench.recon.network.vision_weights import save_network
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.recipes.vision import RecogniserRecipe
from facebench.recon.vision.recognition import Recogniser

SIZES = ("network.width=4", "network.image_size=32", "network.outputs=16")


def small_recogniser() -> Recogniser:
    """Features of 16 numbers from aligned faces of 32 px."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(7)
        network = IResNet("iresnet18", 16, 4, 32).train()
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = None  # the plain mean, of the one batch below
        # Flat grey faces with a little noise: statistics under which faces differ from each other.
        network(0.1 * torch.randn(64, 3, 32, 32) + 0.3 * torch.randn(64, 3, 1, 1))
        return Recogniser(network)


def write_recogniser(path: Path) -> Path:
    """The same as a weights file."""
    recipe = load_any_recipe("recogniser-embedded", SIZES)
    assert isinstance(recipe, RecogniserRecipe)
    save_network(path, small_recogniser().network.state_dict(), recipe, 0, 0)
    return path
