"""The regressed vector and its named parts."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from facebench.recon.face.coefficients import Coefficients, CoefficientSizes

SIZES = st.builds(CoefficientSizes, st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))


def test_the_papers_sizes_give_314() -> None:
    assert CoefficientSizes(identity=100, expression=80, albedo=100).total == 314


@given(SIZES, st.integers(1, 3))
def test_splitting_and_joining_is_the_identity(sizes: CoefficientSizes, batch: int) -> None:
    vector = torch.arange(batch * sizes.total, dtype=torch.float32).view(batch, -1)
    parts = Coefficients.from_vector(vector, sizes)
    assert torch.equal(parts.vector(), vector)
    assert parts.identity.shape == (batch, sizes.identity)
    assert parts.expression.shape == (batch, sizes.expression)
    assert parts.albedo.shape == (batch, sizes.albedo)
    assert parts.pose.shape == (batch, 7) and parts.light.shape == (batch, 9, 3)


def test_parts_stand_in_the_documented_order() -> None:
    sizes = CoefficientSizes(identity=2, expression=3, albedo=4)
    parts = Coefficients.from_vector(torch.arange(sizes.total)[None], sizes)
    assert parts.identity.tolist() == [[0, 1]]
    assert parts.expression.tolist() == [[2, 3, 4]]
    assert parts.albedo.tolist() == [[5, 6, 7, 8]]
    assert parts.pose.tolist() == [list(range(9, 16))]
    assert parts.light[0, 1].tolist() == [19, 20, 21]
