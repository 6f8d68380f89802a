"""Layers that several networks share: colour normalisation and shortcuts of residual blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

COLOUR_MEAN = (0.485, 0.456, 0.406)
COLOUR_STD = (0.229, 0.224, 0.225)
CRASHING_CHANNELS = 8
"""Convolutions of fewer input channels may crash: floats of a register (`PointwiseConvolution`)."""


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


class PointwiseConvolution(nn.Conv2d):
    """A 1x1 convolution without bias, safe to train with any stride and number of channels.

    oneDNN 3.12 (in PyTorch 2.13) ends the process in the weights' gradient of a strided 1x1
    convolution of 2 to 7 channels-last float32 channels on processors with AVX2 and without AVX-512
    (docs/training.md, "A crash of PyTorch"). A narrow layer therefore takes every `stride`-th pixel
    first, which is the same function. Wider ones keep the faster kernel.
    """

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__(channels, width, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, width, ceil(H / stride), ceil(W / stride))."""
        if self.in_channels >= CRASHING_CHANNELS:
            return super().forward(features)
        rows, columns = self.stride
        return nn.functional.conv2d(features[:, :, ::rows, ::columns], self.weight)


def projection_shortcut(channels: int, width: int, stride: int) -> nn.Sequential | None:
    """What brings a block's input to the size of its output; None where they agree already."""
    if stride == 1 and channels == width:
        return None
    return nn.Sequential(PointwiseConvolution(channels, width, stride), nn.BatchNorm2d(width))


def _channels(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)
