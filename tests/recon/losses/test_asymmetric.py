from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facebench.recon.losses.prior import asymmetric_loss

numbers = st.floats(-3, 3).map(lambda value: round(value, 3))


def one(found: float, label: float, over: float = 1.0, under: float = 3.0) -> float:
    loss = asymmetric_loss(torch.tensor([[found]]), torch.tensor([[label]]), over, under)
    return float(loss)


def published(found: float, label: float, over: float, under: float) -> float:
    """As Tran et al. write it: with g = |label|, p = sign(label) found and m = max(g, p),
    over |g - m|² + under |p - m|²."""
    g, p = abs(label), (-1.0 if label < 0 else 1.0) * found
    m = max(g, p)
    return over * (g - m) ** 2 + under * (p - m) ** 2


@given(found=numbers, label=numbers, over=st.floats(0.1, 5), under=st.floats(0.1, 5))
def test_it_is_the_published_form(found: float, label: float, over: float, under: float) -> None:
    expected = published(found, label, over, under)
    assert one(found, label, over, under) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_too_small_costs_three_times_as_much_as_too_large() -> None:
    for sign in (1.0, -1.0):
        assert one(sign * 1.5, sign * 2.0) == pytest.approx(3 * 0.25)
        assert one(sign * 2.5, sign * 2.0) == pytest.approx(0.25)
    assert one(-1.0, 2.0) == pytest.approx(3 * 9.0)  # the other side of zero falls short


def test_equal_weights_give_the_euclidean_loss() -> None:
    found, label = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = (found - label).square().sum(1).mean()
    torch.testing.assert_close(asymmetric_loss(found, label, 1.0, 1.0), expected)


def test_the_gradient_agrees_with_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    found, label = torch.randn(2, 4, 6, generator=generator, dtype=torch.float64)
    found.requires_grad_()
    assert torch.autograd.gradcheck(lambda value: asymmetric_loss(value, label), (found,))


def test_its_least_lies_beyond_the_mean_of_labels_that_disagree() -> None:
    """Guessing the mean of labels 1 and 2 is no longer best: (3 * 2 + 1 * 1) / 4 is."""
    label = torch.tensor([[1.0], [2.0]])
    guesses = torch.linspace(1.0, 2.0, 1001)
    losses = [float(asymmetric_loss(guess.expand(2, 1), label)) for guess in guesses]
    assert float(guesses[losses.index(min(losses))]) == pytest.approx(1.75, abs=2e-3)
