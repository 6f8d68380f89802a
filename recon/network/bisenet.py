"""BiSeNet (Yu et al. 2018) for face parsing, with the state-dict names of the public weights.

The spatial path of the paper is replaced, as in those weights, by the context path's feature map at
an eighth of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .resnet import ResNet

CLASSES = 19
"""Classes of CelebAMask-HQ, background included."""


class ConvolutionUnit(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, channels: int, width: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width)
        # a = 1, the gain of a linear layer, as the public code starts.
        nn.init.kaiming_normal_(self.conv.weight, a=1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, width, H, W)."""
        activated: Tensor = self.bn(self.conv(maps)).relu_()
        return activated


class AttentionRefinement(nn.Module):
    """Features weighted, channel by channel, by what their mean over the picture says."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = ConvolutionUnit(channels, width)
        self.conv_atten = _pointwise(width, width)
        self.bn_atten = nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, width, H, W)."""
        refined: Tensor = self.conv(maps)
        # One number a channel: what the whole picture shows decides which features to trust.
        attention = self.bn_atten(self.conv_atten(refined.mean((2, 3), keepdim=True)))
        weighted: Tensor = refined * attention.sigmoid()
        return weighted


class ContextTrunk(ResNet):
    """ResNet-18 without its last layer."""

    def __init__(self, width: int) -> None:
        super().__init__("resnet18", 1, width)
        # The public weights have none there.
        del self.fc

    def scales(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps at 1/8, 1/16 and 1/32 of normalised images (B, 3, H, W)."""
        maps = self.maxpool(self.bn1(self.conv1(images)).relu_())
        eighth = self.layer2(self.layer1(maps))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class ContextPath(nn.Module):
    """Deep features, refined by attention and brought up to 1/8 and 1/16 of the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.resnet = ContextTrunk(width)
        self.arm16 = AttentionRefinement(4 * width, 2 * width)
        self.arm32 = AttentionRefinement(8 * width, 2 * width)
        self.conv_head32 = ConvolutionUnit(2 * width, 2 * width)
        self.conv_head16 = ConvolutionUnit(2 * width, 2 * width)
        self.conv_avg = ConvolutionUnit(8 * width, 2 * width, kernel=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Trunk features at 1/8; context at 1/8 and at 1/16 of images (B, 3, H, W)."""
        eighth, sixteenth, last = self.resnet.scales(images)
        # Every pixel sees the picture's mean: no convolution here reaches over the whole picture.
        overall = self.conv_avg(last.mean((2, 3), keepdim=True))
        # Added before it is enlarged, on a sixteenth of the pixels.
        deep = _enlarge(self.arm32(last) + overall, sixteenth)
        context16 = self.conv_head32(deep)
        middle = _enlarge(self.arm16(sixteenth) + context16, eighth)
        return eighth, self.conv_head16(middle), context16


class FeatureFusion(nn.Module):
    """Trunk and context features joined and weighted channel by channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convblk = ConvolutionUnit(channels, channels, kernel=1)
        self.conv1 = _pointwise(channels, channels // 4)
        self.conv2 = _pointwise(channels // 4, channels)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        """Two maps whose channels add up to `channels`, (B, ., H, W), to (B, channels, H, W)."""
        joined: Tensor = self.convblk(torch.cat([spatial, context], dim=1))
        attention = self.conv1(joined.mean((2, 3), keepdim=True)).relu_()
        # Beside the features themselves: a weight of 0 must not silence a channel for good.
        fused: Tensor = joined * self.conv2(attention).sigmoid() + joined
        return fused


class ClassHead(nn.Module):
    """Features to one score a class."""

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.conv = ConvolutionUnit(channels, width)
        self.conv_out = _pointwise(width, classes)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) to scores (B, classes, H, W)."""
        scores: Tensor = self.conv_out(self.conv(maps))
        return scores


class BiSeNet(nn.Module):
    """Class scores of every pixel, and those of two shallower heads that only training uses.

    Args:
        classes: how many, 19 in the public weights.
        width: channels of the trunk's first stage, 64 in the public weights.
    """

    def __init__(self, classes: int = CLASSES, width: int = 64) -> None:
        super().__init__()
        self.cp = ContextPath(width)
        self.ffm = FeatureFusion(4 * width)
        self.conv_out = ClassHead(4 * width, 4 * width, classes)
        self.conv_out16 = ClassHead(2 * width, width, classes)
        self.conv_out32 = ClassHead(2 * width, width, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (B, classes, H, W), thrice, of ImageNet-normalised images (B, 3, H, W)."""
        spatial, context8, context16 = self.cp(images)
        heads = (
            self.conv_out(self.ffm(spatial, context8)),
            self.conv_out16(context8),
            self.conv_out32(context16),
        )
        first, second, third = (_at_size(scores, images) for scores in heads)
        return first, second, third

    def scores(self, images: Tensor) -> Tensor:
        """The first of the three outputs, without computing the others."""
        spatial, context8, _ = self.cp(images)
        return _at_size(self.conv_out(self.ffm(spatial, context8)), images)


def _pointwise(channels: int, width: int) -> nn.Conv2d:
    convolution = nn.Conv2d(channels, width, 1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, a=1)
    return convolution


def _enlarge(maps: Tensor, like: Tensor) -> Tensor:
    # By the other map's size, not by 2: an odd side would come out one pixel short.
    return interpolate(maps, size=like.shape[2:], mode="nearest")


def _at_size(scores: Tensor, images: Tensor) -> Tensor:
    # Corner to corner, as the public weights were trained.
    return interpolate(scores, size=images.shape[2:], mode="bilinear", align_corners=True)
