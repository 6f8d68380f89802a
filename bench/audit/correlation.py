"""Correlation of measured with true errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Pearson's, NaN where fewer than three values are known of both or one side is constant."""
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return float("nan")
    return float(np.corrcoef(x[both], y[both])[0, 1])
