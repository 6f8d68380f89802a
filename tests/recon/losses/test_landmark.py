from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facebench.recon.losses.landmarks import CONTOUR, contour_weights, landmark_loss, wing


def test_wing_has_the_values_of_its_formula() -> None:
    c = 10 - 10 * math.log(6)
    found = wing(torch.tensor([0.0, 2.0, -2.0, 9.999999, 10.0, 30.0], dtype=torch.float64))
    expected = [0.0, 10 * math.log(2), 10 * math.log(2), 10 * math.log(6), 10 - c, 30 - c]
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), atol=1e-5, rtol=0
    )


@given(st.floats(-40, 40), st.floats(1, 20), st.floats(0.5, 5))
def test_wing_is_even_and_grows(distance: float, width: float, epsilon: float) -> None:
    near, far = torch.tensor(distance).double(), torch.tensor(abs(distance) + 0.1).double()
    assert wing(near, width, epsilon) == wing(-near, width, epsilon)
    assert wing(far, width, epsilon) > wing(near, width, epsilon)


def test_wing_gradient_agrees_with_finite_differences() -> None:
    distance = torch.tensor([-15.0, -3.0, 0.7, 4.0, 12.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(wing, (distance,))


def test_landmark_loss_counts_pixels_of_the_224_frame() -> None:
    truth = torch.zeros(68, 2, 3)
    weights = torch.ones(68, 3)
    small = landmark_loss(truth + 1.0, truth, weights, image_size=112)
    large = landmark_loss(truth + 2.0, truth, weights, image_size=224)
    assert small.item() == pytest.approx(large.item())
    assert large.item() == pytest.approx(10 * math.log(2))


def test_points_of_weight_zero_do_not_count() -> None:
    truth = torch.zeros(68, 2, 1)
    projected = truth.clone()
    projected[5] = 50.0
    weights = torch.ones(68, 1)
    weights[5] = 0.0
    assert landmark_loss(projected, truth, weights, 224).item() == 0.0


def test_jaw_line_weight_falls_linearly_with_yaw() -> None:
    yaw = torch.tensor([0.0, -0.2, 0.5, -0.8, 1.2])
    weights = contour_weights(yaw, weight=0.2, start=0.2, end=0.8)
    torch.testing.assert_close(weights[0], torch.tensor([1.0, 1.0, 0.6, 0.2, 0.2]))
    assert (weights[CONTOUR:] == 1.0).all()
