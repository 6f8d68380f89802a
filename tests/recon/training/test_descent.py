from __future__ import annotations

import math
import sys

import pytest
import torch
from torch import nn

from facebench.recon.recipes.regressor import OptimiserRecipe
from facebench.recon.training.loop import LossMeter
from facebench.recon.training.optimise import Descent, StepReport, learning_rate


def learner() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def step(network: nn.Module, descent: Descent, batch: torch.Tensor, number: int) -> bool:
    before = descent.statistics()
    return descent.apply(network(batch).square().mean(), number, before)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_step_left_out_leaves_no_trace(value: float) -> None:
    network = learner()
    descent = Descent(network, OptimiserRecipe(average=0.9), 10)
    assert step(network, descent, torch.randn(8, 3), 0)
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    average = {name: tensor.clone() for name, tensor in descent.state()["average"].items()}
    moments = [s["exp_avg"].clone() for s in descent.optimiser.state.values()]
    spoilt = torch.randn(8, 3)
    spoilt[0, 0] = value
    assert not step(network, descent, spoilt, 1)
    assert all(torch.equal(network.state_dict()[name], kept[name]) for name in kept)
    assert all(torch.equal(descent.state()["average"][name], average[name]) for name in average)
    after = [s["exp_avg"] for s in descent.optimiser.state.values()]
    assert all(torch.equal(a, b) for a, b in zip(moments, after, strict=True))
    assert step(network, descent, torch.randn(8, 3), 2)


def test_the_steps_are_adams_and_import_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import of PyTorch's compiler takes longer than a small training's first steps."""
    recipe = OptimiserRecipe(gradient_limit=0, warmup_steps=0, learning_rate=0.1)
    batch, networks = torch.randn(8, 3), [nn.Linear(3, 1) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    with monkeypatch.context() as patch:
        for name in ("torch._dynamo", "torch.fx.experimental.symbolic_shapes"):
            patch.setitem(sys.modules, name, None)
        descent = Descent(networks[0], recipe, 4)
        for number in range(4):
            assert step(networks[0], descent, batch, number)
            kept, descent = descent.state(), Descent(networks[0], recipe, 4)
            descent.restore(kept)
    # Kingma and Ba's: of PyTorch's own step the compiler would be imported here.
    expected = networks[1]
    moments = [[torch.zeros_like(p), torch.zeros_like(p)] for p in expected.parameters()]
    for number in range(4):
        loss = expected(batch).square().mean()
        slopes = torch.autograd.grad(loss, list(expected.parameters()))
        values = expected.parameters()
        for value, slope, (first, second) in zip(values, slopes, moments, strict=True):
            first.lerp_(slope, 0.1)
            second.lerp_(slope**2, 0.001)
            size = (second / (1 - 0.999 ** (number + 1))).sqrt() + 1e-8
            rate = learning_rate(recipe, number, 4) / (1 - 0.9 ** (number + 1))
            value.data -= rate * first / size
    for ours, value in zip(*(one.parameters() for one in networks), strict=True):
        torch.testing.assert_close(ours, value, rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_not_finite_spoils_a_gradient_that_is() -> None:
    network = nn.Linear(2, 1)
    descent = Descent(network, OptimiserRecipe(), 10)
    assert not descent.apply(network(torch.ones(1, 2)).sum() + math.inf, 0, descent.statistics())


def test_the_average_is_that_of_the_formula_and_weights_come_back() -> None:
    network = nn.Linear(1, 1, bias=False)
    descent = Descent(network, OptimiserRecipe(learning_rate=0.1, average=0.5), 10)
    expected = network.weight.item()
    for number in range(6):
        assert step(network, descent, torch.ones(4, 1), number)
        decay = min(0.5, (2 + number) / (11 + number))
        expected = decay * expected + (1 - decay) * network.weight.item()
    live = network.weight.item()
    with descent.averaged():
        assert network.weight.item() == pytest.approx(expected, rel=1e-5)
    assert network.weight.item() == live
    assert live != pytest.approx(expected, rel=1e-3)


def test_weights_come_back_bit_for_bit_from_an_error() -> None:
    network = learner()
    descent = Descent(network, OptimiserRecipe(average=0.99), 10)
    step(network, descent, torch.randn(8, 3), 0)
    before = network.state_dict()["0.weight"].clone()
    with pytest.raises(ValueError, match="stop"), descent.averaged():
        raise ValueError("stop")
    assert torch.equal(network.state_dict()["0.weight"], before)


def test_a_long_gradient_is_cut_to_the_limit() -> None:
    network = nn.Linear(2, 1)
    descent = Descent(network, OptimiserRecipe(gradient_limit=0.5), 10)
    descent.apply(1e3 * network(torch.ones(1, 2)).sum(), 0, descent.statistics())
    lengths = [value.grad.norm() for value in network.parameters() if value.grad is not None]
    assert torch.stack(lengths).norm().item() == pytest.approx(0.5, rel=1e-4)


def test_a_term_that_begins_between_two_lines_is_averaged_over_its_own_steps() -> None:
    meter = LossMeter()
    for terms in ({"landmark": 2.0}, {"landmark": 4.0, "pixel": 0.5}):
        meter.add(StepReport(sum(terms.values()), terms, 1, True))
    row = meter.row(2, 0, 1)
    assert (row["landmark"], row["pixel"], row["total"]) == (3.0, 0.5, 3.25)
