"""What the choices that papers leave unwritten are worth, over the subjects of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...bench.scoring.statistics import Interval, bootstrap_interval


@dataclass(frozen=True)
class Worth:
    """What a choice does to a number, over subjects.

    Attributes:
        choice: its name.
        mean_mm: over the subjects that could be measured.
        change: of the mean, as a share of the unchanged protocol's over the same subjects.
        ci95: 95 % bootstrap interval of that share over subjects.
        n_subjects: measured both ways.
    """

    choice: str
    mean_mm: float
    change: float
    ci95: Interval
    n_subjects: int


def worths(values: pd.DataFrame, seed: int = 0) -> list[Worth]:
    """What each choice is worth, in the order of the columns.

    Args:
        values: (subjects, choices) in mm; the first column is the protocol as it is.
        seed: of the intervals.
    """
    base = values.iloc[:, 0]
    return [_worth(str(name), values[name], base, seed) for name in values.columns]


def _worth(name: str, changed: pd.Series, base: pd.Series, seed: int) -> Worth:
    both = np.isfinite(changed) & np.isfinite(base)
    new, old = changed[both].to_numpy(), base[both].to_numpy()
    if not len(new):
        nan = float("nan")
        return Worth(name, nan, nan, Interval(nan, nan), 0)
    differences = bootstrap_interval((new - old) / old.mean(), seed)
    return Worth(name, float(new.mean()), float(new.mean() / old.mean() - 1), differences, len(new))
