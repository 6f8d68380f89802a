"""A small network for 68 landmarks: one heat map a point, and the mean place under each map.

The mean place has a gradient, so the distance itself can be trained on.
"""

from __future__ import annotations

from torch import Tensor, nn

from .bisenet import ConvolutionUnit
from .landmark_head import FIRST_STRIDE, back_up, mean_places
from .layers import ColourNormalisation
from .resnet import ResNet

LANDMARKS = 68


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
        return mean_places(self.heat_maps(crops), FIRST_STRIDE)

    def heat_maps(self, crops: Tensor) -> Tensor:
        """Logarithms of unnormalised heat (B, L, S / 4, S / 4)."""
        scales = self.trunk.pyramid(self.normalise(crops))
        heat: Tensor = self.heat(back_up(scales, self.lateral, self.merge))
        return heat
