"""Batch normalisation by two processes, each with some photographs of a batch."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from facebench.recon.training.workers import SharedBatchNorm1d, SharedBatchNorm2d

LAST, FIRST = torch.channels_last, torch.contiguous_format
FOUND = ("normalised", "features", "weight", "bias")
"""What a worker's file holds: values, and three gradients."""


@dataclass(frozen=True)
class Case:
    """A batch in doubles, the gradient that comes back to it, and how many photographs are whose.

    Attributes:
        features: (B, 5, ...).
        gradient: the same.
        shares: of each worker; they add up to B.
    """

    features: Tensor
    gradient: Tensor
    shares: tuple[int, int]

    def of(self, rank: int) -> tuple[Tensor, Tensor]:
        """Features and gradient of one worker."""
        features, gradient = (
            values.split(self.shares)[rank] for values in (self.features, self.gradient)
        )
        return features, gradient


def _maps(
    shares: tuple[int, int], layouts: tuple[torch.memory_format, torch.memory_format], mean: float
) -> Case:
    drawn = torch.randn((2, sum(shares), 5, 6, 4), dtype=torch.float64)
    features, gradient = (
        values.contiguous(memory_format=layout)
        for values, layout in zip(drawn, layouts, strict=True)
    )
    return Case(features + mean, gradient, shares)


def _vectors(shares: tuple[int, int]) -> Case:
    features, gradient = torch.randn((2, sum(shares), 5), dtype=torch.float64)
    return Case(features, gradient, shares)


def cases() -> dict[str, Case]:
    """The same in every process."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {
            "equal": _maps((3, 3), (LAST, LAST), 0.0),
            "uneven": _maps((5, 1), (LAST, LAST), 0.0),
            "contiguous": _maps((2, 4), (FIRST, FIRST), 0.0),
            "gradient laid out otherwise": _maps((2, 3), (LAST, FIRST), 0.0),
            "far from zero": _maps((3, 2), (LAST, LAST), 1e6),
            "vectors": _vectors((4, 1)),
        }


def layer_for(features: Tensor, shared: bool) -> nn.BatchNorm1d | nn.BatchNorm2d:
    """A layer in doubles whose weight and bias differ from channel to channel."""
    vectors = features.ndim == 2
    if shared:
        layer = SharedBatchNorm1d(5) if vectors else SharedBatchNorm2d(5)
    else:
        layer = nn.BatchNorm1d(5) if vectors else nn.BatchNorm2d(5)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1.0, 2.0, 5))
        layer.bias.copy_(torch.linspace(0.5, -0.5, 5))
    return layer.double()


def normalise(layer: nn.Module, features: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    """`FOUND`, and the layer's state afterwards."""
    features = features.detach().requires_grad_()
    normalised = layer(features)
    inputs = (features, layer.weight, layer.bias)
    gradients = torch.autograd.grad(normalised, inputs, gradient)
    found = dict(zip(FOUND, (normalised.detach(), *gradients), strict=True))
    return found | {f"state {name}": value for name, value in layer.state_dict().items()}


def part(workers: int) -> int:
    """Become so many processes, each with its rank; the first ends when all have ended well.

    After the imports, which take most of the time of a start, and before anything is computed.
    """
    others = []
    for rank in range(1, workers):
        if not (other := os.fork()):
            return rank
        others.append(other)
    atexit.register(lambda: all(not os.waitpid(other, 0)[1] for other in others) or os._exit(1))
    return 0


def normalise_shares(rank: int) -> dict[str, dict[str, Tensor]]:
    """What one of the two workers finds in every case, within their process group."""
    return {
        name: normalise(layer_for(case.features, True), *case.of(rank))
        for name, case in cases().items()
    }
