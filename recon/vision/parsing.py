"""Which part of the face each pixel shows: BiSeNet on photographs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..network.bisenet import BiSeNet
from ..network.image_statistics import ColourNormalisation
from ..network.state_dicts import fit_state_dict, fitted, read_state_dict
from ..network.vision_weights import EMBEDDED, chosen_weights, is_own_file, load_network
from ..recipes.vision import ParserRecipe

PUBLIC_SIDE = 512
"""Side in px of the pictures that the public weights were trained on."""

SOURCE = "https://github.com/zllrunning/face-parsing.PyTorch (79999_iter.pth)"


class FaceParser(Protocol):
    """Labels the pixels of face crops."""

    def __call__(self, images: Tensor) -> Tensor:
        """Classes (B, H, W) int64 in BiSeNet order of RGB images (B, 3, H, W) in [0, 1]."""
        ...


class BiSeNetParser(nn.Module):
    """A trained BiSeNet with the size and colours it expects.

    Args:
        network: gives scores in BiSeNet's label order.
        side: of the pictures it was trained on, px; others are resampled to it and back.
    """

    def __init__(self, network: BiSeNet, side: int) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.side = side
        self.normalise = ColourNormalisation()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Classes (B, H, W) int64 in BiSeNet order of RGB images (B, 3, H, W) in [0, 1]."""
        sized = _resampled(images, (self.side, self.side))
        scores = self.network.scores(self.normalise(sized))
        return _resampled(scores, tuple(images.shape[2:])).argmax(dim=1)


def make_parser(
    weights: str | Path = EMBEDDED, device: torch.device | str = "cpu"
) -> BiSeNetParser:
    """A face parser.

    Args:
        weights: `embedded`, a file of `facebench train --recipe parser`, or the public
            `79999_iter.pth`.
        device: where it computes.

    Raises:
        FacebenchError: no such weights, or not those of a parser.
    """
    path = chosen_weights(weights, "parser")
    parser = _own(path) if is_own_file(path) else _public(path)
    return parser.to(device)


def _own(path: Path) -> BiSeNetParser:
    loaded = load_network(path, ParserRecipe)
    size = loaded.recipe.network
    build = partial(BiSeNet, width=size.width)
    network = fitted(build, loaded.state, path, f"BiSeNet of width {size.width}")
    return BiSeNetParser(network, size.image_size)


def _public(path: Path) -> BiSeNetParser:
    network = BiSeNet()
    fit_state_dict(network, read_state_dict(path, SOURCE), path, "BiSeNet with 19 classes")
    return BiSeNetParser(network, PUBLIC_SIDE)


def _resampled(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(maps.shape[2:]) == size:
        return maps
    return interpolate(maps, size=size, mode="bilinear", align_corners=False, antialias=True)
