"""Batch normalisation over several workers, in one of them; over two: `test_peers.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from normalised_together import FIRST, LAST, layer_for, normalise
from torch import Tensor, distributed, nn

from facebench.recon.training.workers import SharedBatchNorm1d, SharedBatchNorm2d


@pytest.fixture
def only_worker(tmp_path: Path) -> Iterator[None]:
    """A process group of one."""
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("only_worker")
@pytest.mark.parametrize(
    "laid_out",
    [
        lambda maps: maps,
        lambda maps: maps.contiguous(memory_format=LAST),
        lambda maps: maps.transpose(0, 2),
        lambda maps: maps[:, :, 0, 0],
    ],
    ids=["contiguous", "channels last", "strided", "vectors"],
)
def test_the_gradient_is_that_of_finite_differences(laid_out: Callable[[Tensor], Tensor]) -> None:
    random = torch.Generator().manual_seed(0)
    features = laid_out(torch.randn((4, 5, 3, 2), generator=random, dtype=torch.float64))
    layer = layer_for(features, shared=True)

    def normalised(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        changed: Tensor = torch.func.functional_call(
            layer, {"weight": weight, "bias": bias}, (features,)
        )
        return changed

    inputs = (features.requires_grad_(), layer.weight, layer.bias)
    assert torch.autograd.gradcheck(normalised, inputs)


@pytest.mark.usefixtures("only_worker")
@pytest.mark.parametrize("layout", [LAST, FIRST], ids=["channels last", "contiguous"])
def test_single_precision_bears_a_large_mean(layout: torch.memory_format) -> None:
    """Numbers near 1000 are 6e-5 apart; 50,000 of them, of spread 1, must not cost much more."""
    random = torch.Generator().manual_seed(0)
    features = (torch.randn((16, 3, 56, 56), generator=random) + 1e3).contiguous(
        memory_format=layout
    )
    layer = SharedBatchNorm2d(3)
    variance, mean = torch.var_mean(features.double(), (0, 2, 3), keepdim=True)
    expected = (features - mean) * (variance + layer.eps).rsqrt()
    torch.testing.assert_close(layer(features).double(), expected, rtol=0.0, atol=3e-4)
    seen = (layer.running_var.double() - 0.9) / 0.1
    torch.testing.assert_close(seen, variance.flatten(), rtol=1e-4, atol=0.0)


@pytest.mark.usefixtures("only_worker")
@pytest.mark.parametrize("layout", [LAST, FIRST], ids=["channels last", "contiguous"])
def test_bfloat16_stays_what_it_is(layout: torch.memory_format) -> None:
    """Features are rounded to its 8 bits where they are kept, statistics and sums are float32."""
    random = torch.Generator().manual_seed(0)
    features, gradient = torch.randn((2, 8, 3, 6, 4), generator=random).bfloat16()
    features = features.contiguous(memory_format=layout)
    exact = normalise(nn.BatchNorm2d(3).double(), features.double(), gradient.double())
    with torch.autocast("cpu", torch.bfloat16):
        found = normalise(SharedBatchNorm2d(3), features, gradient)
        assert found["normalised"].dtype == torch.bfloat16
    for key, value in exact.items():
        halved = found[key].dtype == torch.bfloat16
        close = {"rtol": 2**-7, "atol": 2**-8} if halved else {"rtol": 1e-5, "atol": 1e-5}
        torch.testing.assert_close(found[key].double(), value.double(), **close)


@pytest.mark.usefixtures("only_worker")
def test_there_is_no_second_derivative() -> None:
    features = torch.randn(4, 3, requires_grad=True)
    loss = SharedBatchNorm1d(3)(features).pow(3).sum()
    (slope,) = torch.autograd.grad(loss, features, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
