"""The weak labels that the loss compares a face with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Supervision:
    """A batch of photographs with their weak labels.

    Attributes:
        images: (B, 3, S, S) float32 RGB in [0, 1].
        landmarks: (68, 2, B) float32, px of the image, integers at pixel centres; NaN: unknown.
        masks: (B, S, S) int64, face-parsing classes in BiSeNet order.
    """

    images: Tensor
    landmarks: Tensor
    masks: Tensor

    def to(self, device: torch.device) -> Supervision:
        """The same on a device."""
        return Supervision(
            self.images.to(device, non_blocking=True),
            self.landmarks.to(device, non_blocking=True),
            self.masks.to(device, non_blocking=True),
        )
