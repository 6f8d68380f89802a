"""Landmark network: a heat map per point, and the expected place under each map.

The expected place has a gradient, so the distance itself can be trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .bisenet import ConvolutionUnit
from .resnet import ColourNormalisation, ResNet

FIRST_STRIDE = 4
"""Pixels of the picture between two cells of a residual network's first scale."""

_HIDDEN = 512
_SPREAD = 4.0
"""Brings places, which are from -1 to 1, to the size of a trunk's features."""

LANDMARKS = 68


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


def _read_out(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU()
    )


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


def _cell_centres(cells: int, stride: int, device: torch.device) -> Tensor:
    # Half a cell to its centre, half a pixel back: pixel centres are at integers.
    return (torch.arange(cells, device=device) + 0.5) * stride - 0.5


class LandmarkNetwork(nn.Module):
    """A residual trunk with a path back up to a quarter of the picture.

    Args:
        width: channels of the trunk's first stage.
        image_size: side of the square crops in px, a multiple of 32.
        landmarks: how many points.
    """

    def __init__(self, width: int, image_size: int, landmarks: int = LANDMARKS) -> None:
        super().__init__()
        self.image_size = image_size
        self.normalise = ColourNormalisation()
        self.trunk = ResNet("resnet18", 1, width)
        # Idle weights would stand in every file, and distributed training would wait for their
        # gradient.
        del self.trunk.fc
        path = 2 * width
        self.lateral = nn.ModuleList(
            ConvolutionUnit(width * 2**stage, path, kernel=1) for stage in range(4)
        )
        self.merge = nn.ModuleList(ConvolutionUnit(path, path) for _ in range(3))
        self.heat = nn.Conv2d(path, landmarks, 1)

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
