"""The additive angular margin (ArcFace, Deng et al. 2019, eq. 3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, normalize

from ...losses.across import Across, alone


class MarginHead(nn.Module):
    """One direction for every person; features must be nearer to their own by an angle.

    Args:
        outputs: length of the features.
        people: how many are told apart.
        angle: the margin in radians.
        scale: of the cosines before the softmax.
        across: sums up the batch over all workers.
    """

    def __init__(
        self, outputs: int, people: int, angle: float, scale: float, across: Across = alone
    ) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.empty(people, outputs))
        nn.init.normal_(self.directions, 0.0, 0.01)
        self.angle = angle
        self.scale = scale
        self.across = across

    def forward(self, features: Tensor, people: Tensor) -> Tensor:
        """Mean cross entropy of features (B, D) of the people numbered (B,)."""
        cosines = linear(normalize(features), normalize(self.directions))
        scores = self.scale * with_margin(cosines, people, self.angle)
        count = self.across(scores.new_tensor(len(scores)))
        return cross_entropy(scores, people, reduction="sum") / count


def with_margin(cosines: Tensor, people: Tensor, angle: float) -> Tensor:
    """Cosines (B, P) with that of the right person taken at an angle larger by the margin.

    Where the larger angle would pass 180 degrees and its cosine rise again, the cosine falls on in
    a straight line instead, as ArcFace's authors do it.
    """
    own = cosines.gather(1, people[:, None]).clamp(-1.0, 1.0)
    sine = (1.0 - own.square()).clamp_min(1e-12).sqrt()
    turned = own * math.cos(angle) - sine * math.sin(angle)
    beyond = own - math.sin(math.pi - angle) * angle
    harder = turned.where(own > math.cos(math.pi - angle), beyond)
    return cosines.scatter(1, people[:, None], harder)
