"""Terms of the coefficients: prior, distribution, distance from labels, light and reflectance.

The prior is METHOD eq. 13; the distribution of a batch is Genova et al.'s (2018), the asymmetric
distance Tran et al.'s (2017). Means over the photographs of several workers divide by denominators
that an all-reduce function gives.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ..face.coefficients import Coefficients
from ..morphable.model import MorphableModel

AllReduce = Callable[[Tensor], Tensor]
"""Mean of a number over all workers; what comes back carries no gradient.

A worker divides the sum over its own photographs by the mean of all workers' denominators. The mean
of the workers' gradients is then that of one worker with the whole batch, however it was shared.
"""

SKIN = ("forehead", "left_cheek", "right_cheek", "nose", "jaw")
"""Regions that are skin all over; brows, eyes and lips have colours of their own."""


def single_process(value: Tensor) -> Tensor:
    """The mean over one worker."""
    return value


def prior_loss(
    coefficients: Coefficients,
    identity: float = 1.2,
    expression: float = 0.8,
    albedo: float = 0.001,
    expression_mean: float = 0.0,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """1.2 |α|² + 0.8 |β - m|² + 0.001 |δ|², summed over coefficients, mean over the batch.

    The mean m of the expression coefficients is 0 in the paper.
    """
    expressed = coefficients.expression - expression_mean
    total = (
        identity * coefficients.identity.square().sum()
        + expression * expressed.square().sum()
        + albedo * coefficients.albedo.square().sum()
    )
    # Summed over coefficients, as printed: a model of more modes is held more firmly.
    return total / all_reduce(total.new_tensor(float(len(coefficients.identity))))


def distribution_loss(coefficients: Tensor, all_reduce: AllReduce = single_process) -> Tensor:
    """Squared mean and squared (variance - 1) of each coefficient over the batch, averaged.

    Zero when every coefficient has mean 0 and variance 1 over the batch. A recogniser can be
    fooled by faces that nobody has; this keeps the decoder among those that the model knows,
    without pulling any single face to the mean.

    Args:
        coefficients: (B, K), standard normal over people.
        all_reduce: sums up the batch over all workers; the moments are those of the whole batch.
    """
    count = all_reduce(coefficients.new_tensor(float(len(coefficients))))
    mean = _of_all(coefficients.sum(0) / count, all_reduce)
    square = _of_all(coefficients.square().sum(0) / count, all_reduce)
    # By moments, not by differences from the mean: each worker can add its share to them.
    variance = square - mean.square()
    return (mean.square() + (variance - 1.0).square()).mean()


def _of_all(here: Tensor, all_reduce: AllReduce) -> Tensor:
    """The mean over workers of a number, with the gradient of this worker's share."""
    # The value is that of all, the gradient that of `here` alone: the others have their own.
    return here + (all_reduce(here.detach()) - here.detach())


def asymmetric_loss(
    found: Tensor,
    label: Tensor,
    over: float = 1.0,
    under: float = 3.0,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Squared differences, summed over coefficients, mean over the batch.

    Labels near the mean are many and safe to guess, so a network trained on the Euclidean loss
    gives faces near the mean. Here a coefficient that fell short of its label, or lies on the other
    side of zero, costs more than one that went too far. With equal weights it is the Euclidean
    loss.

    Args:
        found: (B, K) coefficients.
        label: (B, K), no gradient.
        over: weight where a coefficient is larger than its label, away from zero.
        under: weight where it is smaller.
        all_reduce: sums up the batch over all workers.
    """
    # Along the label's own direction; the published form takes both as max(|label|, ±found).
    beyond = (found - label) * torch.where(label < 0, -1.0, 1.0)
    weight = torch.where(beyond > 0, over, under)
    count = found.new_tensor(float(len(found)))
    return (weight * beyond.square()).sum() / all_reduce(count)


def light_balance(light: Tensor, all_reduce: AllReduce = single_process) -> Tensor:
    """Squared distance of each harmonic's three weights from their mean (Deng et al. 2019).

    Skin colour and the colour of light can trade places; white light leaves the colour to the skin.

    Args:
        light: (B, 9, 3) γ.
        all_reduce: sums up the batch over all workers.
    """
    # Grey light, however bright, costs nothing.
    coloured = light - light.mean(dim=2, keepdim=True)
    count = light.new_tensor(float(len(light)))
    return coloured.square().sum() / all_reduce(count)


class ReflectanceVariance(nn.Module):
    """Variance of a face's albedo over its skin (as in Deng et al. 2019, their reflectance loss).

    With T(v) = T̄(v) + A(v) δ this is a quadratic form in δ, so the albedo need not be decoded: with
    X the (3 V, K + 1) matrix of the centred basis and mean, the variance is (δ, 1)ᵀ XᵀX (δ, 1) / V.

    Args:
        model: whose skin; a model without named skin regions counts as skin all over.
    """

    form: Tensor

    def __init__(self, model: MorphableModel) -> None:
        super().__init__()
        skin = skin_vertices(model)
        # The mean face's own variance is part of it: hence the coefficient 1 in the last place.
        columns = np.concatenate([model.albedo_basis, model.mean_albedo[:, :, None]], axis=2)
        values = columns[skin].astype(np.float64)
        # Per colour about its own mean: skin may be brown, it shall be so all over.
        flat = (values - values.mean(axis=0)).reshape(-1, values.shape[2])
        form = torch.from_numpy(flat.T @ flat / len(skin)).float()
        self.register_buffer("form", form, persistent=False)

    def forward(self, albedo: Tensor, all_reduce: AllReduce = single_process) -> Tensor:
        """Mean over the batch of the variance, summed over colours, for (B, K) coefficients."""
        one = torch.cat([albedo, albedo.new_ones(len(albedo), 1)], dim=1)
        total = ((one @ self.form) * one).sum()
        return total / all_reduce(total.new_tensor(float(len(albedo))))


def skin_vertices(model: MorphableModel) -> np.ndarray:
    """Indices of a model's skin."""
    skin = [index for index, name in enumerate(model.region_names) if name in SKIN]
    found = np.flatnonzero(np.isin(model.region, skin))
    return found if len(found) else np.arange(len(model.mean_albedo))
