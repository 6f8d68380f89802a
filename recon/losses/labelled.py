"""Faces against faces: what supervision by coefficients compares."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..face.camera import project, rotate, rotation_matrix
from ..face.coefficients import Coefficients
from ..morphable.decoder import FaceDecoder
from .across import Across, alone
from .landmark import FRAME


class ShapeDistance(nn.Module):
    """Mean squared distance of the vertices of two faces of a model, mm².

    Coefficients then count by what they move. With the bases A the distance is a quadratic form,
    dᵀ AᵀA d / V in the difference d of the coefficients, so that no vertex need be computed.

    Args:
        decoder: the face model.
    """

    form: Tensor

    def __init__(self, decoder: FaceDecoder) -> None:
        super().__init__()
        basis = torch.cat([decoder.identity_basis, decoder.expression_basis], dim=1).double()
        form = basis.T @ basis / (len(basis) // 3)
        self.register_buffer("form", form.float(), persistent=False)

    def forward(self, found: Coefficients, true: Coefficients) -> Tensor:
        """(B,) of two batches."""
        parts = [found.identity - true.identity, found.expression - true.expression]
        apart = torch.cat(parts, dim=1)
        distance: Tensor = ((apart @ self.form) * apart).sum(1)
        return distance


def landmark_distance(found: Coefficients, true: Coefficients, decoder: FaceDecoder) -> Tensor:
    """Mean squared distance (B,) by which the found pose misplaces the true landmarks, px² of 224.

    The pose's angles, shifts and scale are then all in one unit.
    """
    shape = decoder.landmark_shape(true.identity, true.expression)
    off = _placed(shape, found.pose) - _placed(shape, true.pose)
    known = (decoder.landmarks >= 0).to(off)
    squares: Tensor = (off.square().sum(1) * known[:, None]).sum(0) / known.sum()
    return squares * (FRAME / 2.0) ** 2


def batch_mean(each: Tensor, across: Across = alone) -> Tensor:
    """Mean of (B,) or (B, ...) over the photographs of all workers, summed over the rest."""
    return each.sum() / across(each.new_tensor(float(len(each))))


def _placed(shape: Tensor, pose: Tensor) -> Tensor:
    return project(rotate(shape, rotation_matrix(pose[:, :3])), pose)[:, :2]
