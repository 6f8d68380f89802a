from __future__ import annotations

import pytest
import torch

from facebench.recon.losses.prior import distribution_loss


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_zero_for_a_batch_with_the_priors_moments() -> None:
    samples = normal(50, 7)
    standard = (samples - samples.mean(0)) / samples.std(0, unbiased=False)
    assert float(distribution_loss(standard)) == pytest.approx(0.0, abs=1e-24)


def test_samples_of_the_prior_cost_what_chance_leaves() -> None:
    """A mean of B samples has variance 1 / B, a variance 2 / B: 3 / B in all."""
    losses = [float(distribution_loss(normal(200, 400, seed=seed))) for seed in range(5)]
    assert sum(losses) / 5 == pytest.approx(3 / 200, rel=0.06)


def test_analytic_for_shifted_and_spread_samples() -> None:
    samples = normal(40, 3)
    standard = (samples - samples.mean(0)) / samples.std(0, unbiased=False)
    shifted, spread = distribution_loss(standard + 0.5), distribution_loss(2.0 * standard)
    assert float(shifted) == pytest.approx(0.25)
    assert float(spread) == pytest.approx(9.0)
    assert float(distribution_loss(torch.zeros(8, 3))) == pytest.approx(1.0)  # everybody the mean


def test_the_gradient_agrees_with_differences() -> None:
    assert torch.autograd.gradcheck(distribution_loss, (1.5 * normal(6, 3).requires_grad_(),))


def test_two_workers_have_the_loss_and_the_gradient_of_one() -> None:
    whole = (1.3 * normal(9, 4) + 0.2).requires_grad_()
    distribution_loss(whole).backward()
    shares = [whole.detach()[:4].clone(), whole.detach()[4:].clone()]
    found = []
    for share in shares:
        share.requires_grad_()
        # What the workers would exchange: the means over both of count, sum and sum of squares.
        means = iter(
            [
                torch.tensor(4.5, dtype=torch.float64),
                sum(part.detach().sum(0) for part in shares) / 4.5 / 2,
                sum(part.detach().square().sum(0) for part in shares) / 4.5 / 2,
            ]
        )
        loss = distribution_loss(share, lambda value, means=means: next(means))
        torch.testing.assert_close(loss, distribution_loss(whole))
        loss.backward()
        found.append(share.grad / 2)  # gradients of workers are averaged
    torch.testing.assert_close(torch.cat(found), whole.grad)
