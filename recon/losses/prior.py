"""Prior term: squared coefficients (METHOD eq. 13)."""

from __future__ import annotations

from torch import Tensor

from ..face.coefficients import Coefficients
from .across import Across, alone


def prior_loss(
    coefficients: Coefficients,
    identity: float = 1.2,
    expression: float = 0.8,
    albedo: float = 0.001,
    expression_mean: float = 0.0,
    across: Across = alone,
) -> Tensor:
    """1.2 |α|² + 0.8 |β - m|² + 0.001 |δ|², summed over coefficients, mean over the batch.

    The mean m of the expression coefficients is 0 in the paper.
    """
    expressed = coefficients.expression - expression_mean
    total = (
        identity * coefficients.identity.square().sum()
        + expression * expressed.square().sum()
        + albedo * coefficients.albedo.square().sum()
    )
    return total / across(total.new_tensor(float(len(coefficients.identity))))
