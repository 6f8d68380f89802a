from __future__ import annotations

import torch

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.losses.prior import prior_loss


def test_prior_is_the_weighted_sum_of_squares_averaged_over_the_batch() -> None:
    coefficients = Coefficients(
        identity=torch.tensor([[1.0, 2.0], [0.0, 0.0]]),
        expression=torch.tensor([[3.0], [1.0]]),
        albedo=torch.tensor([[10.0], [0.0]]),
        pose=torch.full((2, 7), 9.0),
        light=torch.full((2, 9, 3), 9.0),
    )
    expected = 1.2 * 5 / 2 + 0.8 * 10 / 2 + 0.001 * 100 / 2
    torch.testing.assert_close(prior_loss(coefficients), torch.tensor(expected))


def test_expressions_count_from_their_mean() -> None:
    coefficients = Coefficients(
        identity=torch.zeros(1, 2),
        expression=torch.tensor([[0.2, 0.5]]),
        albedo=torch.zeros(1, 1),
        pose=torch.zeros(1, 7),
        light=torch.zeros(1, 9, 3),
    )
    found = prior_loss(coefficients, expression=2.0, expression_mean=0.2)
    torch.testing.assert_close(found, torch.tensor(2.0 * 0.3**2))
