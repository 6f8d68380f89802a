"""Denominators of means that run over the photographs of several workers."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Across = Callable[[Tensor], Tensor]
"""Mean of a number over all workers; what comes back carries no gradient.

A worker divides the sum over its own photographs by the mean of all workers' denominators. The mean
of the workers' gradients is then that of one worker with the whole batch, however it was shared.
"""


def alone(value: Tensor) -> Tensor:
    """The mean over one worker."""
    return value
