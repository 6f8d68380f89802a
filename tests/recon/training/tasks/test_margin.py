from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from facebench.recon.training.tasks.recogniser import MarginHead, with_margin


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.5])
def test_the_own_angle_grows_by_the_margin_and_no_other_changes(angle: float) -> None:
    angles = torch.linspace(0.05, math.pi - 0.55, 12, dtype=torch.float64)
    cosines = angles.cos().repeat(12, 1)
    own = torch.arange(12)
    harder = with_margin(cosines, own, angle)
    torch.testing.assert_close(harder.diagonal(), (angles + angle).cos())
    others = ~torch.eye(12, dtype=torch.bool)
    assert torch.equal(harder[others], cosines[others])


def test_it_falls_with_the_angle_all_the_way_and_its_slope_is_finite() -> None:
    cosines = torch.linspace(1, -1, 401, dtype=torch.float64, requires_grad=True)
    harder = with_margin(cosines[:, None], torch.zeros(401, dtype=torch.int64), 0.5)[:, 0]
    assert (harder.diff() < 0).all()
    (slope,) = torch.autograd.grad(harder.sum(), cosines)
    assert slope.isfinite().all()


def test_without_margin_it_is_the_scaled_softmax_of_cosines() -> None:
    torch.manual_seed(0)
    head = MarginHead(outputs=6, people=4, angle=0.0, scale=10.0)
    features, people = torch.randn(9, 6), torch.arange(9) % 4
    cosines = normalize(features) @ normalize(head.directions).T
    torch.testing.assert_close(head(features, people), cross_entropy(10 * cosines, people))
    torch.testing.assert_close(head(7 * features, people), head(features, people))
