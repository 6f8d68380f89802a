"""The orders in which face-parsing classes are numbered, by name, and conversion between them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import FacebenchError
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


def converted(mask: Mask, source: str, target: str) -> Mask:
    """A mask of one order in another; any shape, integer classes.

    Raises:
        FacebenchError: an unknown order.
    """
    names, wanted = _order(source), _order(target)
    return _looked_up(mask, [wanted.index(name) for name in names])


def sides_swapped(mask: Mask, order: str = BISENET) -> Mask:
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
