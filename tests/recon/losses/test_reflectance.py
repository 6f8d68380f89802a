from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_faces import small_model

from facebench.recon.losses.prior import ReflectanceVariance, light_balance, skin_vertices
from facebench.recon.render.face import FaceDecoder


def test_it_is_the_variance_of_the_decoded_albedo() -> None:
    model = small_model()
    torch.manual_seed(0)
    coefficients = torch.randn(5, model.albedo_basis.shape[2])
    albedo = FaceDecoder(model).albedo(coefficients)[skin_vertices(model)]
    expected = albedo.var(dim=0, unbiased=False).sum(0).mean()
    torch.testing.assert_close(
        ReflectanceVariance(model)(coefficients), expected, rtol=1e-4, atol=0
    )


def test_skin_of_one_colour_costs_nothing_whatever_the_colour() -> None:
    model = small_model()
    one = np.broadcast_to(np.float32([0.7, 0.5, 0.4]), model.mean_albedo.shape).copy()
    basis = np.broadcast_to(np.float32([[[0.1, 0.2], [0.0, 0.1], [0.3, 0.0]]]), (len(one), 3, 2))
    plain = replace(model, mean_albedo=one, albedo_basis=basis.copy())
    assert ReflectanceVariance(plain)(torch.randn(3, 2)).abs() < 1e-8


def test_lips_and_brows_are_not_skin() -> None:
    model = small_model()
    names = {model.region_names[index] for index in model.region[skin_vertices(model)]}
    assert names == {"forehead", "left_cheek", "right_cheek", "nose", "jaw"}


def test_both_gradients_agree_with_differences() -> None:
    term = ReflectanceVariance(small_model()).double()
    albedo = torch.randn(2, small_model().albedo_basis.shape[2], dtype=torch.float64)
    assert torch.autograd.gradcheck(term, (albedo.requires_grad_(),))
    light = torch.randn(2, 9, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(light_balance, (light,))


def test_white_light_is_balanced_and_coloured_light_is_not() -> None:
    white = torch.randn(4, 9, 1).expand(-1, -1, 3)
    assert light_balance(white).item() == pytest.approx(0.0, abs=1e-10)
    red = torch.zeros(2, 9, 3)
    red[:, 0, 0] = 3.0  # mean 1: 2² + 1² + 1²
    assert light_balance(red).item() == pytest.approx(6.0)
