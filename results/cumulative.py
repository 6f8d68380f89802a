"""The cumulative error curve: the share of a face's points within each distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .record import SCORED

STEPS_PER_MM = 10
COLUMN = "cumulative"


@dataclass(frozen=True, eq=False)
class CumulativeCurve:
    """Mean over subjects of each subject's curve.

    Attributes:
        thresholds_mm: (N,) distances, ascending in steps of 0.1 mm.
        shares: (N,) share of points within the distance, in [0, 1].
    """

    thresholds_mm: NDArray[np.float64]
    shares: NDArray[np.float64]


def cumulative_curves(subjects: pd.DataFrame) -> dict[str, CumulativeCurve]:
    """Scene to curve from a run's subjects table; empty when the table has no curves."""
    if COLUMN not in subjects:
        return {}
    scored = subjects[subjects["status"] == SCORED]
    return {str(scene): _mean_curve(rows[COLUMN]) for scene, rows in scored.groupby("scene")}


def _mean_curve(curves: pd.Series) -> CumulativeCurve:
    shares = np.stack([np.asarray(curve, np.float64) for curve in curves]).mean(axis=0)
    return CumulativeCurve(np.arange(1, len(shares) + 1) / STEPS_PER_MM, shares)
