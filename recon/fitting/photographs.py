"""Photographs as smooth functions of the place in the picture, with their slopes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from ..losses.landmark import FRAME

_REACH = 3.0
"""Deviations after which the blur's kernel ends."""


@dataclass(frozen=True)
class Photographs:
    """Blurred pictures and their slopes.

    Attributes:
        colours: (B, 3, S, S) float32.
        slopes: (B, 6, S, S) float32: of red, green, blue to the right, then upwards, in a
            normalised unit.
    """

    colours: Tensor
    slopes: Tensor

    @classmethod
    def of(cls, images: Tensor, blur: float) -> Photographs:
        """From (B, 3, S, S) and the deviation of the blur in px of the 224 frame."""
        colours = blurred(images, blur)
        framed = pad(colours, (1, 1, 1, 1), mode="replicate")
        slopes = torch.empty_like(colours).repeat(1, 2, 1, 1)
        torch.sub(framed[:, :, 1:-1, 2:], framed[:, :, 1:-1, :-2], out=slopes[:, :3])
        torch.sub(framed[:, :, :-2, 1:-1], framed[:, :, 2:, 1:-1], out=slopes[:, 3:])
        return cls(colours, slopes.mul_(images.shape[-1] / 4))

    def colour_at(self, places: Tensor) -> Tensor:
        """Colours (3, N, B) at normalised places (≥2, N, B); the border's beyond it."""
        return look_up(self.colours, places)

    def slope_at(self, places: Tensor) -> Tensor:
        """Derivative (3, 2, N, B) of the colours with respect to the place."""
        return look_up(self.slopes, places).view(2, 3, *places.shape[1:]).transpose(0, 1)

    def of_faces(self, chosen: Tensor) -> Photographs:
        """Those that a mask (B,) chooses."""
        return Photographs(self.colours[chosen], self.slopes[chosen])


def look_up(maps: Tensor, places: Tensor, mode: str = "bilinear") -> Tensor:
    """Values (C, N, B) of maps (B, C, S, S) at normalised places (≥2, N, B), y up."""
    downwards = torch.stack([places[0], -places[1]], dim=2).transpose(0, 1)
    grid = downwards.to(maps.dtype).unsqueeze(1)
    found = grid_sample(maps, grid, mode=mode, padding_mode="border", align_corners=False)
    return found[:, :, 0].permute(1, 2, 0).to(places.dtype).contiguous()


def blurred(images: Tensor, deviation: float) -> Tensor:
    """Gaussian blur of a deviation in px of the 224 frame, with the border's colour beyond it.

    A product with a matrix either side.
    """
    size = images.shape[-1]
    deviation = deviation * size / FRAME
    reach = max(int(_REACH * deviation + 0.5), 1)
    steps = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (steps / deviation).square())
    pixels = torch.arange(size, device=images.device)
    sources = (pixels[:, None] + steps.long()).clamp(0, size - 1)
    blur = images.new_zeros(size, size)
    blur.scatter_add_(1, sources, (kernel / kernel.sum()).expand(size, -1).contiguous())
    return blur @ images @ blur.mT
