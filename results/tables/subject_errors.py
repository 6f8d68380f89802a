"""From a run's subjects table to what tables and charts compare: numbers by subject."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...bench.landmarks import FACE_PARTS
from ...bench.scoring.distance import CURVE_MM
from ...bench.scoring.statistics import UNKNOWN, bootstrap_means, percentile_interval, subject_means
from ..run.items import item_names, of_scene

ERROR = "value_mm"
"""The protocol's own statistic of a subject, the number that tables show."""

CURVE = "curve"
"""Share of a subject's points within each threshold of `CURVE_MM`."""

ERROR_COLUMNS = ("item", "subject", "scene", ERROR)
"""What pairs and tables of subjects are made of."""
CURVE_COLUMNS = ("scene", ERROR, CURVE)
"""What `cumulative_curves` is made of."""

PartErrors = dict[str, tuple[float, float, float]]
"""Part of the face to the mean, and the low and high end of its interval, mm."""


def scene_column(subjects: pd.DataFrame, scene: str, column: str = ERROR) -> dict[str, float]:
    """Subject to number in a scene; without those that have none."""
    if column not in subjects:
        return {}
    rows = of_scene(subjects, scene)
    known = rows[column].notna()
    names = item_names(rows, scene)[known]
    return dict(zip(names, rows[column][known].astype(float), strict=True))


def subject_of(items: pd.DataFrame, scene: str) -> dict[str, str]:
    """Whose each row of a scene is, by the name that `scene_column` gives it."""
    rows = of_scene(items, scene)
    return dict(zip(item_names(rows, scene), rows["subject"].astype(str), strict=True))


def shared_values(
    first: pd.DataFrame, second: pd.DataFrame, scene: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Errors (N,) and (N,), mm, and subjects (N,) of the items of a scene that both tables have a
    number for, sorted by name."""
    ours, theirs = scene_column(first, scene), scene_column(second, scene)
    owners = subject_of(first, scene)
    # Sorted, so that the bootstrap draws the same subjects whatever order the rows are in.
    both = sorted(ours.keys() & theirs.keys())
    return (
        np.array([ours[name] for name in both], np.float64),
        np.array([theirs[name] for name in both], np.float64),
        [owners[name] for name in both],
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


def errors_by_part(subjects: pd.DataFrame, scene: str, seed: int) -> PartErrors:
    """Part of the face to its mean error over subjects with its 95 % interval, mm.

    Empty where the run does not tell parts apart.
    """
    columns = {part: scene_column(subjects, scene, f"{part}_mm") for part in FACE_PARTS}
    owners = subject_of(subjects, scene)
    alike: dict[tuple[str, ...], list[str]] = {}
    for part, column in columns.items():
        if column:
            alike.setdefault(tuple(column), []).append(part)
    found: PartErrors = {}
    for names, parts in alike.items():
        values = np.array([[columns[part][one] for part in parts] for one in names])
        # One draw for all parts: of a thousand subjects the draw is what takes the time.
        means, counts = subject_means(values, [owners[one] for one in names])
        drawn = bootstrap_means(means, seed, weights=counts) if len(means) > 1 else None
        for place, part in enumerate(parts):
            interval = UNKNOWN if drawn is None else percentile_interval(drawn[:, place])
            found[part] = (float(values[:, place].mean()), interval.low, interval.high)
    return {part: found[part] for part in columns if part in found}
