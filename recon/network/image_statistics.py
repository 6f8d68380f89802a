"""The colour statistics that networks trained on ImageNet expect."""

from __future__ import annotations

import torch
from torch import Tensor, nn

COLOUR_MEAN = (0.485, 0.456, 0.406)
COLOUR_STD = (0.229, 0.224, 0.225)


class ColourNormalisation(nn.Module):
    """RGB in [0, 1] to zero mean and unit deviation over ImageNet; adds nothing to a state dict."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", _channels(COLOUR_MEAN), persistent=False)
        self.register_buffer("std", _channels(COLOUR_STD), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W)."""
        return (images - self.mean) / self.std


def _channels(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)
