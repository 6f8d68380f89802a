"""Coefficients against a label, too large and too small weighed apart (Tran et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from .across import Across, alone


def asymmetric_loss(
    found: Tensor, label: Tensor, over: float = 1.0, under: float = 3.0, across: Across = alone
) -> Tensor:
    """Squared differences, summed over coefficients, mean over the batch.

    Labels near the mean are many and safe to guess, so a network trained on the Euclidean loss
    gives faces near the mean. Here a coefficient that fell short of its label, or lies on the other
    side of zero, costs more than one that went too far. With equal weights it is the Euclidean
    loss.

    Args:
        found: (B, K) coefficients.
        label: (B, K), no gradient.
        over: weight where a coefficient is larger than its label, away from zero.
        under: weight where it is smaller.
        across: sums up the batch over all workers.
    """
    # Along the label's own direction; the published form takes both as max(|label|, ±found).
    beyond = (found - label) * torch.where(label < 0, -1.0, 1.0)
    weight = torch.where(beyond > 0, over, under)
    count = found.new_tensor(float(len(found)))
    return (weight * beyond.square()).sum() / across(count)
