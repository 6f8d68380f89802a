"""What a residual counts: squared while small, hardly more the larger it grows (Cauchy)."""

from __future__ import annotations

from torch import Tensor


def robust_cost(squared: Tensor, tail: float) -> Tensor:
    """c² / 2 · ln(1 + s / c²) of squared residuals s with c the tail; s / 2 for small ones."""
    return 0.5 * tail**2 * (squared / tail**2).log1p()


def robust_weight(squared: Tensor, tail: float) -> Tensor:
    """Weight under which least squares has the same gradient: 1 / (1 + s / c²)."""
    return 1.0 / (1.0 + squared / tail**2)
