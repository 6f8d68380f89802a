"""The number format in which networks compute."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Inside the block matrix products and convolutions take a recipe's precision.

    bfloat16 has the range of float32, so that gradients need no scaling. Weights, statistics and
    what is not a product stay in float32.

    Args:
        precision: `float32`, `bfloat16`, or `auto`: bfloat16 on a GPU.
        device: where it is computed.
    """
    halved = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=halved)
