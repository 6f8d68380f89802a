"""A small network for 68 landmarks: one heat map a point, and the mean place under each map.

The mean place (Nibali et al. 2018, "DSNT") is exact to a fraction of a cell and has a gradient, so
the distance itself can be trained on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .bisenet import ConvolutionUnit
from .image_statistics import ColourNormalisation
from .resnet import ResNet

LANDMARKS = 68

_STRIDE = 4


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
        del self.trunk.fc
        path = 2 * width
        self.lateral = nn.ModuleList(
            ConvolutionUnit(width * 2**stage, path, kernel=1) for stage in range(4)
        )
        self.merge = nn.ModuleList(ConvolutionUnit(path, path) for _ in range(3))
        self.heat = nn.Conv2d(path, landmarks, 1)

    def forward(self, crops: Tensor) -> Tensor:
        """Landmarks (B, L, 2) in px of the crops (B, 3, S, S) of RGB in [0, 1]."""
        return mean_places(self.heat_maps(crops), _STRIDE)

    def heat_maps(self, crops: Tensor) -> Tensor:
        """Logarithms of unnormalised heat (B, L, S / 4, S / 4)."""
        maps = self._scales(self.normalise(crops))
        merged = self.lateral[3](maps[3])
        for scale, merge in zip((2, 1, 0), self.merge, strict=True):
            finer = self.lateral[scale](maps[scale])
            merged = merge(finer + interpolate(merged, size=finer.shape[2:], mode="nearest"))
        heat: Tensor = self.heat(merged)
        return heat

    def _scales(self, images: Tensor) -> list[Tensor]:
        trunk = self.trunk
        maps = [trunk.layer1(trunk.maxpool(trunk.bn1(trunk.conv1(images)).relu_()))]
        for stage in (trunk.layer2, trunk.layer3, trunk.layer4):
            maps.append(stage(maps[-1]))
        return maps


def mean_places(heat: Tensor, stride: int) -> Tensor:
    """Mean places (B, L, 2), x then y in px of the picture, of log heat maps (B, L, h, w).

    Args:
        heat: logarithms of heat, not normalised.
        stride: px of the picture between two cells; the centre of cell 0 is (stride - 1) / 2.
    """
    share = heat.float().flatten(2).softmax(dim=2).view_as(heat)
    across = _cell_centres(heat.shape[3], stride, heat.device)
    down = _cell_centres(heat.shape[2], stride, heat.device)
    x = (share.sum(2) * across).sum(2)
    y = (share.sum(3) * down).sum(2)
    return torch.stack([x, y], dim=2)


def _cell_centres(cells: int, stride: int, device: torch.device) -> Tensor:
    return (torch.arange(cells, device=device) + 0.5) * stride - 0.5
