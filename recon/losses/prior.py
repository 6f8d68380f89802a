"""Prior term: squared coefficients (METHOD eq. 13)."""

from __future__ import annotations

from torch import Tensor

from ..coefficients import Coefficients


def prior_loss(
    coefficients: Coefficients,
    identity: float = 1.2,
    expression: float = 0.8,
    albedo: float = 0.001,
) -> Tensor:
    """1.2 |α|² + 0.8 |β|² + 0.001 |δ|², summed over coefficients, mean over the batch."""
    return (
        identity * _mean_square_norm(coefficients.identity)
        + expression * _mean_square_norm(coefficients.expression)
        + albedo * _mean_square_norm(coefficients.albedo)
    )


def _mean_square_norm(part: Tensor) -> Tensor:
    return part.square().sum(1).mean()
