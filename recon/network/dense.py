"""Networks that answer per pixel: BiSeNet for face parsing, heat maps for 68 landmarks.

BiSeNet (Yu et al. 2018) has the state-dict names of the public weights; the spatial path of the
paper is replaced, as in those, by the context path's feature map at an eighth of the image. The
landmark network has a heat map per point, and the expected place under each, which has a gradient,
so that the distance itself can be trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .resnet import ColourNormalisation, ResNet

CLASSES = 19
"""Classes of CelebAMask-HQ, background included."""

FIRST_STRIDE = 4
"""Pixels of the picture between two cells of a residual network's first scale."""

_HIDDEN = 512
_SPREAD = 4.0
"""Brings places, which are from -1 to 1, to the size of a trunk's features."""

LANDMARKS = 68


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


class Trunk(ResNet):
    """ResNet-18 without its last layer."""

    def __init__(self, width: int) -> None:
        super().__init__("resnet18", 1, width)
        # The public weights have none there. Idle ones would stand in every file, and distributed
        # training would wait for their gradient.
        del self.fc


class ContextPath(nn.Module):
    """Deep features, refined by attention and brought up to 1/8 and 1/16 of the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.resnet = Trunk(width)
        self.arm16 = AttentionRefinement(4 * width, 2 * width)
        self.arm32 = AttentionRefinement(8 * width, 2 * width)
        self.conv_head32 = ConvolutionUnit(2 * width, 2 * width)
        self.conv_head16 = ConvolutionUnit(2 * width, 2 * width)
        self.conv_avg = ConvolutionUnit(8 * width, 2 * width, kernel=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Trunk features at 1/8; context at 1/8 and at 1/16 of images (B, 3, H, W)."""
        eighth, sixteenth, last = self.resnet.pyramid(images)[1:]
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


class LandmarkHead(nn.Module):
    """Landmark head: heat-map coordinates of landmarks over the scales of a residual trunk.

    A last feature map of 3 x 3 cells says roughly where things are; these coordinates are exact to
    a fraction of a cell, and can be compared with known landmarks themselves.

    Args:
        channels: of the trunk's scales, finest first; the first scale is left out.
        image_size: side of the pictures in px.
        count: how many landmarks.
    """

    def __init__(self, channels: Sequence[int], image_size: int, count: int) -> None:
        super().__init__()
        path = 2 * channels[0]
        self.image_size = image_size
        self.lateral = nn.ModuleList(ConvolutionUnit(c, path, kernel=1) for c in channels[1:])
        self.merge = nn.ModuleList(ConvolutionUnit(path, path) for _ in channels[2:])
        self.heat = nn.Conv2d(path, count, 1)
        self.reading = _read_out(2 * count + 3)
        self.features = 2 * count + 3 + _HIDDEN

    def forward(self, scales: Sequence[Tensor]) -> Tensor:
        """Landmarks (B, count, 2), x then y in px of the picture."""
        heat = self.heat(back_up(scales[1:], self.lateral, self.merge))
        return soft_argmax(heat, 2 * FIRST_STRIDE)

    def read(self, places: Tensor) -> Tensor:
        """Features (B, `features`) of places (B, count, 2): how they lie to each other, where they
        are and how large all together, and what two layers make of that."""
        centred = places - places.mean(1, keepdim=True)
        # All points in one place, as an untrained network says, must not divide by 0.
        size = centred.square().sum(2).mean(1).clamp_min(1e-3).sqrt()
        shape = (centred / size[:, None, None]).flatten(1)
        where = places.mean(1) / (self.image_size / 2) - 1.0
        # A face crop's points have a size near e^-1.5 of the side: the number is then near 0.
        scale = (size / self.image_size).log()[:, None] + 1.5
        seen = torch.cat([shape, where, scale], dim=1) * _SPREAD
        return torch.cat([seen, self.reading(seen)], dim=1)


def back_up(scales: Sequence[Tensor], lateral: nn.ModuleList, merge: nn.ModuleList) -> Tensor:
    """The coarsest scale brought up to the finest, joined with every scale on its way."""
    merged: Tensor = lateral[-1](scales[-1])
    for step, join in enumerate(merge, start=2):
        finer = lateral[-step](scales[-step])
        merged = join(finer + interpolate(merged, size=finer.shape[2:], mode="nearest"))
    return merged


def soft_argmax(heat: Tensor, stride: int) -> Tensor:
    """Mean coordinates (B, L, 2), x then y in px of the picture, of log heat maps (B, L, h, w).

    The mean (Nibali et al. 2018, "DSNT") is exact to a fraction of a cell and has a gradient.

    Args:
        heat: logarithms of heat, not normalised.
        stride: px of the picture between two cells; the centre of cell 0 is (stride - 1) / 2.
    """
    # In float32: over thousands of cells bfloat16's three digits would round the place.
    share = heat.float().flatten(2).softmax(dim=2).view_as(heat)
    across = _cell_centres(heat.shape[3], stride, heat.device)
    down = _cell_centres(heat.shape[2], stride, heat.device)
    x = (share.sum(2) * across).sum(2)
    y = (share.sum(3) * down).sum(2)
    return torch.stack([x, y], dim=2)


class LandmarkNetwork(nn.Module):
    """A residual trunk with a path back up to a quarter of the picture.

    Args:
        width: channels of the trunk's first stage.
        image_size: side of the square crops in px, a multiple of 32.
    """

    def __init__(self, width: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.normalise = ColourNormalisation()
        self.trunk = Trunk(width)
        path = 2 * width
        self.lateral = nn.ModuleList(
            ConvolutionUnit(width * 2**stage, path, kernel=1) for stage in range(4)
        )
        self.merge = nn.ModuleList(ConvolutionUnit(path, path) for _ in range(3))
        self.heat = nn.Conv2d(path, LANDMARKS, 1)

    def forward(self, crops: Tensor, sharpness: Tensor | None = None) -> Tensor:
        """Landmarks (B, L, 2) in px of the crops (B, 3, S, S) of RGB in [0, 1].

        Args:
            crops: of the network's size.
            sharpness: (L,) the heat's power for each point, 1 for all when None.
        """
        heat = self.heat_maps(crops)
        if sharpness is not None:
            heat = heat * sharpness[:, None, None]
        return soft_argmax(heat, FIRST_STRIDE)

    def heat_maps(self, crops: Tensor) -> Tensor:
        """Logarithms of unnormalised heat (B, L, S / 4, S / 4)."""
        scales = self.trunk.pyramid(self.normalise(crops))
        heat: Tensor = self.heat(back_up(scales, self.lateral, self.merge))
        return heat


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


def _read_out(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU()
    )


def _cell_centres(cells: int, stride: int, device: torch.device) -> Tensor:
    # Half a cell to its centre, half a pixel back: pixel centres are at integers.
    return (torch.arange(cells, device=device) + 0.5) * stride - 0.5
