"""Optional term: skin of one colour, so that shading is not painted into the albedo."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..morphable.model import MorphableModel
from .across import Across, alone

SKIN = ("forehead", "left_cheek", "right_cheek", "nose", "jaw")
"""Regions that are skin all over; brows, eyes and lips have colours of their own."""


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
        columns = np.concatenate([model.albedo_basis, model.mean_albedo[:, :, None]], axis=2)
        values = columns[skin].astype(np.float64)
        flat = (values - values.mean(axis=0)).reshape(-1, values.shape[2])
        form = torch.from_numpy(flat.T @ flat / len(skin)).float()
        self.register_buffer("form", form, persistent=False)

    def forward(self, albedo: Tensor, across: Across = alone) -> Tensor:
        """Mean over the batch of the variance, summed over colours, for (B, K) coefficients."""
        one = torch.cat([albedo, albedo.new_ones(len(albedo), 1)], dim=1)
        total = ((one @ self.form) * one).sum()
        return total / across(total.new_tensor(float(len(albedo))))


def skin_vertices(model: MorphableModel) -> np.ndarray:
    """Indices of a model's skin."""
    skin = [index for index, name in enumerate(model.region_names) if name in SKIN]
    found = np.flatnonzero(np.isin(model.region, skin))
    return found if len(found) else np.arange(len(model.mean_albedo))
