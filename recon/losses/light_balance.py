"""Optional term: light without a colour of its own."""

from __future__ import annotations

from torch import Tensor

from .across import Across, alone


def light_balance(light: Tensor, across: Across = alone) -> Tensor:
    """Squared distance of each harmonic's three weights from their mean (Deng et al. 2019).

    Skin colour and the colour of light can trade places; white light leaves the colour to the skin.

    Args:
        light: (B, 9, 3) γ.
        across: sums up the batch over all workers.
    """
    coloured = light - light.mean(dim=2, keepdim=True)
    count = light.new_tensor(float(len(light)))
    return coloured.square().sum() / across(count)
