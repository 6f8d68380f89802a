"""From a run's subjects table to what tables and charts compare: numbers by subject."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...bench.scoring.distance import CURVE_MM
from ..run.items import item_names, of_scene

ERROR = "value_mm"
"""The protocol's own statistic of a subject, the number that tables show."""

CURVE = "curve"
"""Share of a subject's points within each threshold of `CURVE_MM`."""


def scene_column(subjects: pd.DataFrame, scene: str, column: str = ERROR) -> dict[str, float]:
    """Subject to number in a scene; without those that have none."""
    if column not in subjects:
        return {}
    rows = of_scene(subjects, scene)
    known = rows[column].notna()
    return dict(zip(item_names(rows)[known], rows[column][known].astype(float), strict=True))


def shared_values(
    first: pd.DataFrame, second: pd.DataFrame, scene: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors (S,) and (S,) in a scene of the subjects that both tables have a number for, sorted
    by subject, mm."""
    ours, theirs = scene_column(first, scene), scene_column(second, scene)
    # Sorted, so that the bootstrap draws the same subjects whatever order the rows are in.
    both = sorted(ours.keys() & theirs.keys())
    return (
        np.array([ours[subject] for subject in both], np.float64),
        np.array([theirs[subject] for subject in both], np.float64),
    )


def cumulative_curves(subjects: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Scene to the mean over subjects of their shares of points within each of `CURVE_MM`, (N,).

    Empty when the table has no curves.
    """
    if CURVE not in subjects:
        return {}
    # A curve of another length has other thresholds, or is empty: nothing was kept of that row.
    whole = subjects[CURVE].map(lambda curve: np.size(curve) == len(CURVE_MM)).astype(bool)
    scored = subjects[subjects[ERROR].notna() & whole]
    return {
        str(scene): np.stack(list(map(np.asarray, rows[CURVE]))).astype(np.float64).mean(axis=0)
        for scene, rows in scored.groupby("scene")
    }
