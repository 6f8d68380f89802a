"""Coefficients of a batch against the distribution that faces have (Genova et al. 2018)."""

from __future__ import annotations

from torch import Tensor

from .across import Across, alone


def distribution_loss(coefficients: Tensor, across: Across = alone) -> Tensor:
    """Squared mean and squared (variance - 1) of each coefficient over the batch, averaged.

    Zero when every coefficient has mean 0 and variance 1 over the batch. A recogniser can be
    fooled by faces that nobody has; this keeps the decoder among those that the model knows,
    without pulling any single face to the mean.

    Args:
        coefficients: (B, K), standard normal over people.
        across: sums up the batch over all workers; the moments are those of the whole batch.
    """
    count = across(coefficients.new_tensor(float(len(coefficients))))
    mean = _of_all(coefficients.sum(0) / count, across)
    square = _of_all(coefficients.square().sum(0) / count, across)
    variance = square - mean.square()
    return (mean.square() + (variance - 1.0).square()).mean()


def _of_all(here: Tensor, across: Across) -> Tensor:
    """The mean over workers of a number, with the gradient of this worker's share."""
    return here + (across(here.detach()) - here.detach())
