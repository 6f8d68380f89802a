"""ResNet-18 to 101 (He et al. 2016) and IResNet-18 to 100 (ArcFace, Deng et al. 2019).

With the state-dict names of the public weights; also the layers that other networks share with
them: colour normalisation and projection shortcuts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ..recipes.vision import IRESNET_DEPTHS

# Of ImageNet, as the public weights were trained on.
COLOUR_MEAN = (0.485, 0.456, 0.406)
COLOUR_STD = (0.229, 0.224, 0.225)
CRASHING_CHANNELS = 16
"""Convolutions of fewer input channels may crash: floats of a register of AVX-512, which has the
most (`PointwiseConvolution`)."""

STRIDE = 16
"""How much smaller than the face the last feature map of an IResNet is."""


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
    convolution of fewer channels-last float32 channels than a register holds, 8 with AVX2 and 16
    with AVX-512 (docs/training.md, "A crash of PyTorch"). A narrow layer therefore takes every
    `stride`-th pixel first, which is the same function. Wider ones keep the faster kernel.
    """

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__(channels, width, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, width, ceil(H / stride), ceil(W / stride))."""
        if self.in_channels >= CRASHING_CHANNELS:
            return super().forward(features)
        # A 1x1 kernel looks at nothing between the pixels that its stride takes.
        rows, columns = self.stride
        return nn.functional.conv2d(features[:, :, ::rows, ::columns], self.weight)


def projection_shortcut(channels: int, width: int, stride: int) -> nn.Sequential | None:
    """What brings a block's input to the size of its output; None where they agree already."""
    if stride == 1 and channels == width:
        return None
    return nn.Sequential(PointwiseConvolution(channels, width, stride), nn.BatchNorm2d(width))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: the block of ResNet-18 and ResNet-34."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = projection_shortcut(channels, width * self.expansion, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, width, H / stride, W / stride)."""
        inner = self.bn1(self.conv1(features)).relu_()
        inner = self.bn2(self.conv2(inner))
        return _add(inner, self.downsample, features)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut: the block of ResNet-50 and ResNet-101."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        # The stride in the 3x3, as in torchvision: in the 1x1 it would skip three pixels of four.
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = projection_shortcut(channels, width * self.expansion, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, 4 width, H / stride, W / stride)."""
        inner = self.bn1(self.conv1(features)).relu_()
        inner = self.bn2(self.conv2(inner)).relu_()
        inner = self.bn3(self.conv3(inner))
        return _add(inner, self.downsample, features)


DEPTHS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}
"""Block and number of blocks in each of the four stages, by architecture."""


class ResNet(nn.Module):
    """A residual network that ends in one fully connected layer.

    Args:
        architecture: a key of `DEPTHS`.
        outputs: width of the last layer, 1000 in the public weights.
        width: channels of the first stage, 64 in the public weights.
    """

    def __init__(self, architecture: str, outputs: int, width: int = 64) -> None:
        super().__init__()
        block, depths = DEPTHS[architecture]
        self.channels = width
        self.scale_channels = tuple(width * block.expansion * 2**stage for stage in range(4))
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._stage(block, width, depths[0], stride=1)
        self.layer2 = self._stage(block, width * 2, depths[1], stride=2)
        self.layer3 = self._stage(block, width * 4, depths[2], stride=2)
        self.layer4 = self._stage(block, width * 8, depths[3], stride=2)
        self.fc = nn.Linear(self.channels, outputs)
        self.apply(_initialise)

    def features(self, images: Tensor) -> Tensor:
        """Last feature map (B, channels, H / 32, W / 32) of normalised images (B, 3, H, W)."""
        return self.pyramid(images)[-1]

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the four stages, (B, `scale_channels`, H / 4 ... H / 32, W / ...)."""
        # relu_ in place: the normalisation's result is needed by nothing else.
        maps: list[Tensor] = [self.maxpool(self.bn1(self.conv1(images)).relu_())]
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(stage(maps[-1]))
        return maps[1:]

    def forward(self, images: Tensor) -> Tensor:
        """(B, outputs) of normalised images (B, 3, H, W)."""
        outputs: Tensor = self.fc(self.features(images).mean((2, 3)))
        return outputs

    def _stage(
        self, block: type[BasicBlock] | type[Bottleneck], width: int, depth: int, stride: int
    ) -> nn.Sequential:
        blocks: list[nn.Module] = []
        for index in range(depth):
            # Only a stage's first block makes its maps smaller.
            blocks.append(block(self.channels, width, stride if index == 0 else 1))
            self.channels = width * block.expansion
        return nn.Sequential(*blocks)


class ImprovedBlock(nn.Module):
    """Normalise, convolve, normalise, activate, convolve, normalise, and a shortcut around it.

    The order of ArcFace's "improved residual unit": no activation after the sum, the stride in the
    second convolution.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = _convolution(channels, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.conv2 = _convolution(width, width, 3, stride)
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
    """Face-recognition network: an aligned face to one vector, whose direction is the identity.

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
        self.conv1 = _convolution(3, width, 3)
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
        self.apply(_initialise_improved)

    def forward(self, faces: Tensor) -> Tensor:
        """(B, outputs) of aligned RGB faces (B, 3, S, S) in [-1, 1]."""
        maps = self.prelu(self.bn1(self.conv1(faces)))
        for stage in range(4):
            maps = self.get_submodule(f"layer{stage + 1}")(maps)
        vectors: Tensor = self.features(self.fc(self.bn2(maps).flatten(1)))
        return vectors


def stage_depths(names: Iterable[str]) -> tuple[int, ...]:
    """How many blocks each of the four stages has, by the names of a state dict."""
    found = {match[0] for match in map(re.compile(r"layer[1-4]\.\d+\.").match, names) if match}
    return tuple(sum(block.startswith(f"layer{i}.") for block in found) for i in range(1, 5))


def iresnet_like(state: Mapping[str, Tensor]) -> IResNet:
    """A fresh network of the build that a state dict of this class was taken from."""
    # A file of weights alone names no architecture: the numbers of blocks do.
    depths = stage_depths(state)
    architecture = next(name for name, known in IRESNET_DEPTHS.items() if known == depths)
    width, channels = state["conv1.weight"].shape[0], state["bn2.weight"].shape[0]
    # The last layer's inputs are channels times cells: their root gives the picture's side.
    outputs, inputs = state["fc.weight"].shape
    return IResNet(architecture, outputs, width, STRIDE * math.isqrt(inputs // channels))


def _channels(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def _stage(channels: int, width: int, depth: int) -> nn.Sequential:
    first = ImprovedBlock(channels, width, stride=2)
    return nn.Sequential(first, *(ImprovedBlock(width, width, stride=1) for _ in range(1, depth)))


def _convolution(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)


def _add(inner: Tensor, shortcut: nn.Module | None, features: Tensor) -> Tensor:
    # In place on `inner`, which has no other reference: the largest maps are here.
    return inner.add_(features if shortcut is None else shortcut(features)).relu_()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        # fan_out keeps the gradient's size through the layers, as He et al. and torchvision start.
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _initialise_improved(module: nn.Module) -> None:
    # The published training starts from this deviation; the normalisations take up the scale.
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.1)
