"""Every term of a loss: the mean of the workers' gradients is that of one with the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.losses.landmarks import batch_mean, landmark_loss
from facebench.recon.losses.multilevel import identity_loss, pixel_loss
from facebench.recon.losses.prior import (
    AllReduce,
    ReflectanceVariance,
    asymmetric_loss,
    distribution_loss,
    light_balance,
    prior_loss,
)
from facebench.recon.morphable.procedural.build import procedural_model

BATCH = 7
SHARES = ([0, 3, 5, 6], [1, 4], [2])
"""Photographs of each of three workers, unequally many."""

Term = Callable[[Tensor, list[int], AllReduce], Tensor]


def numbers(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(BATCH, *shape, dtype=torch.float64, generator=generator)


def points(values: Tensor, mine: list[int], all_reduce: AllReduce) -> Tensor:
    weights = numbers(68).sigmoid()[mine].T.round()  # some points are unknown
    moved = 30.0 * values[mine].reshape(-1, 68, 2).permute(1, 2, 0)
    return landmark_loss(moved, torch.zeros_like(moved), weights, 112, all_reduce=all_reduce)


def pixels(values: Tensor, mine: list[int], all_reduce: AllReduce) -> Tensor:
    drawn = values[mine].reshape(-1, 3, 5, 9)[:, :, :, :9]
    weights = numbers(5, 9)[mine].clamp_min(0)
    return pixel_loss(drawn, torch.zeros_like(drawn), weights, all_reduce=all_reduce)


def identity(values: Tensor, mine: list[int], all_reduce: AllReduce) -> Tensor:
    first, second, third = values[mine].reshape(-1, 3, 45).unbind(1)
    return identity_loss(first, second, third, numbers(1)[mine, 0].abs().round(), all_reduce)


def prior(values: Tensor, mine: list[int], all_reduce: AllReduce) -> Tensor:
    parts = values[mine].split([40, 30, 20, 7, 38], dim=1)
    return prior_loss(
        Coefficients(*parts[:4], parts[4][:, :27].reshape(-1, 9, 3)), all_reduce=all_reduce
    )


def reflectance(values: Tensor, mine: list[int], all_reduce: AllReduce) -> Tensor:
    model = procedural_model(n_vertices=2000)
    variance = ReflectanceVariance(model).double()
    return variance(values[mine, : model.albedo_basis.shape[2]], all_reduce)


TERMS: dict[str, Term] = {
    "landmark": points,
    "pixel": pixels,
    "identity": identity,
    "prior": prior,
    "reflectance": reflectance,
    "distribution": lambda v, mine, all_reduce: distribution_loss(v[mine], all_reduce),
    "asymmetric": lambda v, mine, all_reduce: asymmetric_loss(
        v[mine], numbers(135).flip(1)[mine], all_reduce=all_reduce
    ),
    "light": lambda v, mine, all_reduce: light_balance(v[mine, :27].reshape(-1, 9, 3), all_reduce),
    "labels": lambda v, mine, all_reduce: batch_mean(v[mine].square(), all_reduce),
}


def together(term: Term, values: Tensor) -> list[Tensor]:
    """The term of each worker, whose all-reduce waits for the others as that of processes does."""
    barrier, given = Barrier(len(SHARES), timeout=300), [torch.empty(())] * len(SHARES)

    def worker(rank: int) -> Tensor:
        def all_reduce(value: Tensor) -> Tensor:
            given[rank] = value.detach()
            barrier.wait()
            mean = torch.stack(given).mean(0)
            barrier.wait()
            return mean

        return term(values, SHARES[rank], all_reduce)

    with ThreadPoolExecutor(len(SHARES)) as pool:
        return list(pool.map(worker, range(len(SHARES))))


@pytest.mark.parametrize("name", TERMS)
def test_a_workers_share_counts_as_much_as_its_photographs(name: str) -> None:
    values = numbers(136 if name == "landmark" else 135).requires_grad_()
    whole = TERMS[name](values, list(range(BATCH)), lambda value: value)
    shares = together(TERMS[name], values)
    (expected,) = torch.autograd.grad(whole, values)
    # Distributed training takes the mean of the workers' gradients.
    found = sum(torch.autograd.grad(one, values)[0] for one in shares) / len(shares)
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    mean = torch.stack([one.detach() for one in shares]).mean()
    torch.testing.assert_close(mean, whole.detach(), rtol=1e-12, atol=1e-14)
