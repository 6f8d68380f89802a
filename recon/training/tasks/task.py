"""The door through which a network other than the face regressor is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...losses.supervision import Supervision
from ..data.trainee import Photographs
from ..folder import Row
from ..workers.peers import Peers

Levels = dict[str, Tensor]
"""Scalar terms of a loss by name; their sum is what is minimised."""


@dataclass(frozen=True)
class PeopleBatch:
    """Photographs with their labels and who is in them.

    Attributes:
        truth: images, landmarks, masks.
        people: (B,) int64, number of the person among those trained on.
        noise: (B, 5, 2) standard normal, of the five points that faces are aligned by.
    """

    truth: Supervision
    people: Tensor
    noise: Tensor

    def to(self, device: torch.device) -> PeopleBatch:
        """The same on a device."""
        people, noise = (one.to(device, non_blocking=True) for one in (self.people, self.noise))
        return PeopleBatch(self.truth.to(device), people, noise)


class Learner(nn.Module):
    """A network together with the loss it learns by."""

    def forward(
        self, images: Tensor, landmarks: Tensor, masks: Tensor, people: Tensor, noise: Tensor
    ) -> Levels:
        """The terms of the loss of a batch, weighted.

        Means run over the photographs of all workers: each divides the sum over its own by the mean
        of all workers' denominators.

        Args:
            images: (B, 3, S, S) RGB in [0, 1].
            landmarks: (68, 2, B) px, NaN where unknown.
            masks: (B, S, S) int64 in BiSeNet order.
            people: (B,) int64.
            noise: (B, 5, 2).
        """
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """State of the network alone: what inference needs."""
        raise NotImplementedError


class Task(Protocol):
    """What is learned and how it is judged."""

    def learner(self, peers: Peers) -> Learner:
        """A learner with fresh weights, one of the workers'."""
        ...

    def measure(self, learner: Learner, held_out: Photographs, device: torch.device) -> Row:
        """How it does on photographs that are not trained on."""
        ...

    def picture(
        self, learner: Learner, photographs: Photographs, device: torch.device
    ) -> NDArray[np.uint8]:
        """A sheet for people to look at, (H, W, 3) RGB."""
        ...
