"""Which part of the face each pixel shows: BiSeNet on photographs, and its orders of classes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ...errors import FacebenchError
from ..network.dense import BiSeNet
from ..network.resnet import ColourNormalisation
from ..network.tensor_files import build_with_state, fit_state_dict, read_state_dict
from ..network.vision_weights import EMBEDDED, chosen_weights, is_own_file, load_network
from ..recipes.vision import ParserRecipe
from ..synthetic.appearance import CLASS_NAMES, MASK_ORDER

BISENET = MASK_ORDER
CELEBAMASK_HQ = "celebamask-hq"

_FILE_NAMES = {"eye_glasses": "eye_g", "ear_ring": "ear_r", "necklace": "neck_l"}
"""What CelebAMask-HQ's files call the classes that the public weights name differently."""

PART_NAMES = tuple(_FILE_NAMES.get(name, name) for name in CLASS_NAMES)
"""CelebAMask-HQ's name of each class, in the order of the public weights."""

_HQ_PARTS = (
    *("background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear"),
    *("r_ear", "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
)

ORDERS: dict[str, tuple[str, ...]] = {
    BISENET: CLASS_NAMES,
    CELEBAMASK_HQ: tuple(CLASS_NAMES[PART_NAMES.index(part)] for part in _HQ_PARTS),
}
"""Class names by number, in each order."""

Mask = TypeVar("Mask", Tensor, NDArray[np.uint8])

PUBLIC_SIDE = 512
"""Side in px of the pictures that the public weights were trained on."""

SOURCE = "https://github.com/zllrunning/face-parsing.PyTorch (79999_iter.pth)"


def convert_order(mask: Mask, source: str, target: str) -> Mask:
    """A mask of one order in another; any shape, integer classes.

    Raises:
        FacebenchError: an unknown order.
    """
    names, wanted = _order(source), _order(target)
    return _looked_up(mask, [wanted.index(name) for name in names])


def swap_sides(mask: Mask, order: str = BISENET) -> Mask:
    """The labels of a mirrored mask: what was left is right. The pixels stay where they are."""
    names = _order(order)
    return _looked_up(mask, [names.index(_other_side(name)) for name in names])


def _order(name: str) -> tuple[str, ...]:
    if name not in ORDERS:
        raise FacebenchError(f"unknown label order '{name}'", f"known are {', '.join(ORDERS)}")
    return ORDERS[name]


def _other_side(name: str) -> str:
    if name in ("l_lip", "u_lip"):  # lower and upper
        return name
    swapped = {"l_": "r_", "r_": "l_"}
    return swapped.get(name[:2], name[:2]) + name[2:]


def _looked_up(mask: Mask, table: list[int]) -> Mask:
    if isinstance(mask, Tensor):
        return torch.tensor(table, dtype=mask.dtype, device=mask.device)[mask.long()]
    return np.array(table, dtype=mask.dtype)[mask]


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
        sized = _resample(images, (self.side, self.side))
        scores = self.network.scores(self.normalise(sized))
        return _resample(scores, tuple(images.shape[2:])).argmax(dim=1)


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
    parser = _load_own(path) if is_own_file(path) else _load_public(path)
    return parser.to(device)


def _load_own(path: Path) -> BiSeNetParser:
    state, recipe = load_network(path, ParserRecipe)
    size = recipe.network
    build = partial(BiSeNet, width=size.width)
    network = build_with_state(build, state, path, f"BiSeNet of width {size.width}")
    return BiSeNetParser(network, size.image_size)


def _load_public(path: Path) -> BiSeNetParser:
    network = BiSeNet()
    fit_state_dict(network, read_state_dict(path, SOURCE), path, "BiSeNet with 19 classes")
    return BiSeNetParser(network, PUBLIC_SIDE)


def _resample(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(maps.shape[2:]) == size:
        return maps
    return interpolate(maps, size=size, mode="bilinear", align_corners=False, antialias=True)
