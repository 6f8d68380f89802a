from __future__ import annotations

import math

import pytest
import torch

from facebench.recon.losses.multilevel import identity_loss


def test_equal_features_cost_nothing_and_opposite_ones_two_thirds_of_two() -> None:
    features = torch.randn(4, 16)
    assert identity_loss(features, features, 3 * features).item() == pytest.approx(0.0, abs=1e-6)
    assert identity_loss(features, features, -features).item() == pytest.approx(4 / 3, abs=1e-6)


def test_all_three_pairs_count() -> None:
    directions = [torch.tensor([[math.cos(a), math.sin(a)]]) for a in (0.0, 0.3, 1.0)]
    expected = 1 - (math.cos(0.3) + math.cos(1.0) + math.cos(0.7)) / 3
    assert identity_loss(*directions).item() == pytest.approx(expected, abs=1e-6)


def test_descending_brings_features_together() -> None:
    torch.manual_seed(0)
    photograph, turned = torch.randn(1, 8), torch.randn(1, 8)
    render = torch.randn(1, 8, requires_grad=True)
    before = identity_loss(photograph, render, turned)
    before.backward()
    assert render.grad is not None
    after = identity_loss(photograph, render - 0.1 * render.grad, turned)
    assert after < before


def test_a_photograph_of_weight_zero_has_no_part() -> None:
    generator = torch.Generator().manual_seed(3)
    first, second, third = torch.randn(3, 2, 8, generator=generator).requires_grad_()
    weights = torch.tensor([1.0, 0.0])
    both = identity_loss(first, second, third, weights)
    torch.testing.assert_close(both, identity_loss(first[:1], second[:1], third[:1]))
    (gradient,) = torch.autograd.grad(both, second)
    assert gradient[0].any() and not gradient[1].any()
