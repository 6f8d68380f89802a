"""From a run's subjects table to what tables and charts compare: numbers by subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...bench.scoring.distance import CURVE_MM

ERROR = "value_mm"
"""The protocol's own statistic of a subject, the number that tables show."""

CURVE = "curve"
"""Share of a subject's points within each threshold of `CURVE_MM`."""


@dataclass(frozen=True, eq=False)
class CumulativeCurve:
    """Mean over subjects of each subject's cumulative error curve.

    Attributes:
        thresholds_mm: (N,) ascending distances.
        shares: (N,) share of points within the distance, in [0, 1].
    """

    thresholds_mm: NDArray[np.float64]
    shares: NDArray[np.float64]


def scene_column(subjects: pd.DataFrame, scene: str, column: str = ERROR) -> dict[str, float]:
    """Subject to number in a scene; without those that have none."""
    if column not in subjects:
        return {}
    rows = subjects[(subjects["scene"] == scene) & subjects[column].notna()]
    return dict(zip(rows["subject"].astype(str), rows[column].astype(float), strict=True))


def shared_values(
    first: pd.DataFrame, second: pd.DataFrame, scene: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors (S,) and (S,) in a scene of the subjects that both tables have a number for, sorted
    by subject, mm."""
    ours, theirs = scene_column(first, scene), scene_column(second, scene)
    both = sorted(ours.keys() & theirs.keys())
    return (
        np.array([ours[subject] for subject in both], np.float64),
        np.array([theirs[subject] for subject in both], np.float64),
    )


def cumulative_curves(subjects: pd.DataFrame) -> dict[str, CumulativeCurve]:
    """Scene to mean curve; empty when the table has no curves."""
    if CURVE not in subjects:
        return {}
    scored = subjects[subjects[ERROR].notna() & subjects[CURVE].notna()]
    return {str(scene): _mean_curve(rows[CURVE]) for scene, rows in scored.groupby("scene")}


def _mean_curve(curves: pd.Series) -> CumulativeCurve:
    whole = [np.asarray(curve, np.float64) for curve in curves if len(curve) == len(CURVE_MM)]
    shares = np.stack(whole).mean(axis=0) if whole else np.full(len(CURVE_MM), np.nan)
    return CumulativeCurve(CURVE_MM, shares)
