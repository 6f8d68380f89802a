"""How much a number changes with each choice that papers leave unwritten, over a run's subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...bench.scoring.statistics import Interval, bootstrap_interval


@dataclass(frozen=True)
class Sensitivity:
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


def sensitivities(values: pd.DataFrame, seed: int = 0) -> list[Sensitivity]:
    """How much each choice changes a number, in the order of the columns.

    Args:
        values: (subjects, choices) in mm; the first column is the protocol as it is.
        seed: of the intervals.
    """
    base = values.iloc[:, 0]
    return [_sensitivity(str(name), values[name], base, seed) for name in values.columns]


def _sensitivity(name: str, changed: pd.Series, base: pd.Series, seed: int) -> Sensitivity:
    # A subject that only one of the two can measure would be taken for an effect of the choice.
    both = np.isfinite(changed) & np.isfinite(base)
    new, old = changed[both].to_numpy(), base[both].to_numpy()
    if not len(new):
        nan = float("nan")
        return Sensitivity(name, nan, nan, Interval(nan, nan), 0)
    # In shares of the mean of all: of each subject's own, small errors would weigh most.
    differences = bootstrap_interval((new - old) / old.mean(), seed)
    return Sensitivity(
        name, float(new.mean()), float(new.mean() / old.mean() - 1), differences, len(new)
    )
