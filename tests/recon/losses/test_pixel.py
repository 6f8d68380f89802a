from __future__ import annotations

import pytest
import torch

from facebench.errors import FacebenchError
from facebench.recon.losses.multilevel import class_weights, pixel_loss


def test_pixel_loss_is_the_weighted_mean_colour_distance() -> None:
    photograph = torch.zeros(1, 3, 2, 2)
    rendered = photograph.clone()
    rendered[0, :, 0, 0] = torch.tensor([0.3, 0.0, 0.4])
    rendered[0, :, 1, 1] = 0.7
    weights = torch.tensor([[[2.0, 1.0], [1.0, 0.0]]])
    found = pixel_loss(rendered, photograph, weights, epsilon=0.0)
    assert found.item() == pytest.approx(2 * 0.5 / 4)


def test_one_sum_over_the_batch_not_a_mean_of_means() -> None:
    photograph = torch.zeros(2, 3, 1, 4)
    rendered = photograph.clone()
    rendered[0, 0] = 1.0
    weights = torch.tensor([[[1.0, 0, 0, 0]], [[1.0, 1.0, 1.0, 0]]])
    assert pixel_loss(rendered, photograph, weights, 0.0).item() == pytest.approx(1 / 4)


def test_nothing_visible_is_zero_with_a_zero_gradient() -> None:
    rendered = torch.rand(1, 3, 4, 4, requires_grad=True)
    loss = pixel_loss(rendered, torch.rand(1, 3, 4, 4), torch.zeros(1, 4, 4))
    loss.backward()
    assert loss.item() == 0.0
    assert rendered.grad is not None
    assert (rendered.grad == 0).all()


def test_gradient_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    rendered = torch.rand(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    photograph = torch.rand(2, 3, 3, 3, dtype=torch.float64)
    weights = torch.rand(2, 3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: pixel_loss(x, photograph, weights), (rendered,))


def test_equal_colours_have_a_finite_gradient() -> None:
    rendered = torch.full((1, 3, 2, 2), 0.5, requires_grad=True)
    pixel_loss(rendered, rendered.detach(), torch.ones(1, 2, 2)).backward()
    assert rendered.grad is not None
    assert rendered.grad.isfinite().all()


def test_class_weights_follow_the_bisenet_order() -> None:
    weights = class_weights({"skin": 1.0, "nose": 2.0, "l_lip": 3.0})
    assert weights.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3, 0, 0, 0, 0, 0]


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(FacebenchError, match="beard"):
        class_weights({"beard": 1.0})
