"""The model in PyTorch equals the model in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render.face import FaceDecoder

BATCH = 3


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model("embedded")


def _draw(size: int) -> torch.Tensor:
    return torch.randn(BATCH, size, dtype=torch.float64)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_decoding_equals_the_numpy_model(
    model: MorphableModel, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    decoder = FaceDecoder(model, dtype)
    bases = (model.identity_basis, model.expression_basis, model.albedo_basis)
    identity, expression, albedo = (_draw(basis.shape[2]) for basis in bases)
    vertices = decoder.shape(identity.to(dtype), expression.to(dtype))
    colours = decoder.albedo(albedo.to(dtype))
    assert vertices.shape == colours.shape == (model.n_vertices, 3, BATCH)
    for face in range(BATCH):
        mesh = model.mesh(identity[face].numpy(), expression[face].numpy(), albedo[face].numpy())
        np.testing.assert_allclose(vertices[..., face], mesh.vertices, atol=tolerance)
        np.testing.assert_allclose(colours[..., face].clip(0, 1), mesh.colours, atol=tolerance)


def test_zero_coefficients_give_the_mean(model: MorphableModel) -> None:
    decoder = FaceDecoder(model)
    zero = [
        torch.zeros(1, basis.shape[2]) for basis in (model.identity_basis, model.expression_basis)
    ]
    np.testing.assert_array_equal(decoder.shape(*zero)[..., 0], model.mean_shape)


def test_nothing_of_the_model_enters_a_checkpoint(model: MorphableModel) -> None:
    assert not FaceDecoder(model).state_dict()
