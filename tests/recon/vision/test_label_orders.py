from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.errors import FacebenchError
from facebench.recon.synthetic.appearance import CLASS, CLASS_NAMES
from facebench.recon.vision.parsing import (
    BISENET,
    CELEBAMASK_HQ,
    ORDERS,
    PART_NAMES,
    convert_order,
    swap_sides,
)

ALL = np.arange(19, dtype=np.uint8)

# Numbers of the same thing in the two orders, as their projects list them.
SAME = {
    "skin": (1, 1),
    "l_brow": (2, 6),
    "r_eye": (5, 5),
    "eye_glasses": (6, 3),
    "ear_ring": (9, 15),
    "nose": (10, 2),
    "l_lip": (13, 12),
    "neck": (14, 17),
    "necklace": (15, 16),
    "cloth": (16, 18),
    "hair": (17, 13),
    "hat": (18, 14),
}


def test_both_orders_hold_every_class_once() -> None:
    assert all(sorted(names) == sorted(CLASS_NAMES) for names in ORDERS.values())
    assert len(set(PART_NAMES)) == 19


def test_known_numbers_are_converted() -> None:
    for name, (public, theirs) in SAME.items():
        assert CLASS[name] == public
        mask = np.full((2, 3), public, np.uint8)
        assert (convert_order(mask, BISENET, CELEBAMASK_HQ) == theirs).all(), name


@pytest.mark.parametrize("kind", [lambda array: array, torch.from_numpy])
def test_there_and_back_is_the_same(kind: object) -> None:
    mask = kind(ALL.reshape(1, 19).copy())  # type: ignore[operator]
    there = convert_order(mask, BISENET, CELEBAMASK_HQ)
    assert there.dtype == mask.dtype
    assert (convert_order(there, CELEBAMASK_HQ, BISENET) == mask).all()
    assert (convert_order(mask, BISENET, BISENET) == mask).all()


@pytest.mark.parametrize("order", ORDERS)
def test_sides_are_swapped_in_every_order(order: str) -> None:
    names = ORDERS[order]
    swapped = [names[label] for label in swap_sides(ALL, order)]
    pairs = {name: other for name, other in zip(names, swapped, strict=True) if name != other}
    parts = ("brow", "eye", "ear")
    assert pairs == {f"{a}_{p}": f"{b}_{p}" for a, b in ("lr", "rl") for p in parts}
    assert (swap_sides(swap_sides(ALL, order), order) == ALL).all()


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(FacebenchError, match="known are bisenet, celebamask-hq"):
        convert_order(ALL, "helen", BISENET)
