"""Coefficients to vertices and albedo in PyTorch, batched and vertex-major."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from .model import MorphableModel


class FaceDecoder(nn.Module):
    """The morphable model on a device (METHOD eq. 3 and 4).

    Outputs are vertex-major, (V, 3, B): gathers along vertices are then contiguous in the batch,
    which makes normals several times cheaper than batch-major arrays.
    """

    mean_shape: Tensor
    identity_basis: Tensor
    expression_basis: Tensor
    mean_albedo: Tensor
    albedo_basis: Tensor
    triangles: Tensor
    landmarks: Tensor

    def __init__(self, model: MorphableModel, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for name in ("mean_shape", "mean_albedo"):
            array = torch.as_tensor(np.array(getattr(model, name)), dtype=dtype)
            # Not persistent: a checkpoint names its model by digest and carries no licensed copy.
            self.register_buffer(name, array.reshape(-1, 1), persistent=False)
        for name in ("identity_basis", "expression_basis", "albedo_basis"):
            array = torch.as_tensor(np.array(getattr(model, name)), dtype=dtype)
            self.register_buffer(name, array.flatten(0, 1).contiguous(), persistent=False)
        for name in ("triangles", "landmarks"):
            array = torch.as_tensor(np.array(getattr(model, name)), dtype=torch.int64)
            self.register_buffer(name, array, persistent=False)

    def shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        """Vertices (V, 3, B) in mm from identity (B, K) and expression (B, K) coefficients."""
        flat = torch.addmm(self.mean_shape, self.identity_basis, identity.T)
        flat = torch.addmm(flat, self.expression_basis, expression.T)
        return flat.view(-1, 3, identity.shape[0])

    def landmark_shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        """The landmarks' vertices (68, 3, B) in mm; any vertex where the model has none."""
        # Three rows per landmark: a fit then pays for 204 rows of the basis instead of 3 V.
        first = 3 * self.landmarks.clamp(min=0)
        index = torch.stack([first, first + 1, first + 2], dim=1).flatten()
        flat = self.mean_shape.index_select(0, index)
        flat = torch.addmm(flat, self.identity_basis.index_select(0, index), identity.T)
        flat = torch.addmm(flat, self.expression_basis.index_select(0, index), expression.T)
        return flat.view(-1, 3, identity.shape[0])

    def albedo(self, coefficients: Tensor) -> Tensor:
        """Albedo (V, 3, B), RGB around [0, 1] and not clipped, from (B, K) coefficients."""
        # Not clipped: a clip would stop the gradient of every colour that is a little too bright.
        flat = torch.addmm(self.mean_albedo, self.albedo_basis, coefficients.T)
        return flat.view(-1, 3, coefficients.shape[0])
