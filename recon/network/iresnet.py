"""IResNet-18 to IResNet-100 (ArcFace, Deng et al. 2019) with the public weights' names."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, nn

from ..recipes.vision import IRESNET_DEPTHS
from .resnet import projection_shortcut

STRIDE = 16
"""How much smaller than the image the last feature map is."""


class ImprovedBlock(nn.Module):
    """Normalise, convolve, normalise, activate, convolve, normalise, and a shortcut around it.

    The order of ArcFace's "improved residual unit": no activation after the sum, the stride in the
    second convolution.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = _convolution(channels, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.conv2 = _convolution(width, width, stride=stride)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample = projection_shortcut(channels, width, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, width, H / stride, W / stride)."""
        inner = self.prelu(self.bn2(self.conv1(self.bn1(features))))
        inner = self.bn3(self.conv2(inner))
        shortcut = features if self.downsample is None else self.downsample(features)
        summed: Tensor = inner + shortcut
        return summed


class IResNet(nn.Module):
    """Face-recognition network: an aligned face to one vector, whose direction tells who it is.

    Args:
        architecture: a key of `IRESNET_DEPTHS`.
        outputs: length of the vector, 512 in the public weights.
        width: channels of the first stage, 64 in the public weights.
        image_size: side of the aligned face in px, a multiple of 16; 112 in the public weights.
    """

    def __init__(
        self, architecture: str, outputs: int = 512, width: int = 64, image_size: int = 112
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.conv1 = _convolution(3, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        channels = width
        for stage, depth in enumerate(IRESNET_DEPTHS[architecture]):
            wide = width * 2**stage
            setattr(self, f"layer{stage + 1}", _stage(channels, wide, depth))
            channels = wide
        self.bn2 = nn.BatchNorm2d(channels)
        # No pooling: an aligned face has its parts at fixed places, which the layer may know.
        self.fc = nn.Linear(channels * (image_size // STRIDE) ** 2, outputs)
        self.features = nn.BatchNorm1d(outputs)
        # As published: a factor here would only repeat what the layer before can do.
        self.features.weight.requires_grad_(False)
        self.apply(_initialise)

    def forward(self, faces: Tensor) -> Tensor:
        """(B, outputs) of aligned RGB faces (B, 3, S, S) in [-1, 1]."""
        maps = self.prelu(self.bn1(self.conv1(faces)))
        for stage in range(4):
            maps = self.get_submodule(f"layer{stage + 1}")(maps)
        vectors: Tensor = self.features(self.fc(self.bn2(maps).flatten(1)))
        return vectors


def iresnet_like(state: Mapping[str, Tensor]) -> IResNet:
    """A fresh network of the build that a state dict of this class was taken from."""
    depths = tuple(_blocks(state, stage) for stage in range(1, 5))
    # A file of weights alone names no architecture: the numbers of blocks do.
    architecture = next(name for name, known in IRESNET_DEPTHS.items() if known == depths)
    width, channels = state["conv1.weight"].shape[0], state["bn2.weight"].shape[0]
    # The last layer's inputs are channels times cells: their root gives the picture's side.
    outputs, inputs = state["fc.weight"].shape
    return IResNet(architecture, outputs, width, STRIDE * math.isqrt(inputs // channels))


def _blocks(state: Mapping[str, Tensor], stage: int) -> int:
    return sum(
        name.startswith(f"layer{stage}.") and name.endswith(".prelu.weight") for name in state
    )


def _stage(channels: int, width: int, depth: int) -> nn.Sequential:
    first = ImprovedBlock(channels, width, stride=2)
    return nn.Sequential(first, *(ImprovedBlock(width, width, stride=1) for _ in range(1, depth)))


def _convolution(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)


def _initialise(module: nn.Module) -> None:
    # The published training starts from this deviation; the normalisations take up the scale.
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.1)
