"""How well a protocol's numbers agree with the true errors of the same predictions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from ...bench.audit.correlation import correlation
from ...bench.scoring.statistics import Interval, bootstrap_interval

EVEN_SHARE = 0.01
"""Methods whose true errors differ by less than this have no order that a protocol could lose."""


@dataclass(frozen=True)
class Agreement:
    """One protocol against the truth.

    Attributes:
        protocol, digest: which.
        measured_mm, true_mm: means over all methods and subjects, each by the protocol's own
            statistic; the true one over corresponding vertices.
        bias_mm: measured less true, mean, with its 95 % bootstrap interval over subjects.
        ratio: measured over true, of the means.
        across_subjects: Pearson correlation of measured and true error over the subjects of one
            method, mean over methods.
        across_methods: the same over methods, of one subject, mean over subjects.
        across_vertices: the same over the vertices of one prediction, mean over predictions.
        kendall: τ between the order of the methods by measured and by true mean error.
        exchanged: pairs of methods that the protocol orders wrongly, `better < worse` by truth.
        failed: predictions without a number.
    """

    protocol: str
    digest: str
    measured_mm: float
    true_mm: float
    bias_mm: float
    bias_ci95_mm: Interval
    ratio: float
    across_subjects: float
    across_methods: float
    across_vertices: float
    kendall: float
    exchanged: tuple[str, ...]
    failed: int


def agreement(rows: pd.DataFrame, seed: int = 0) -> Agreement:
    """Compare a protocol with the truth.

    Args:
        rows: of one protocol, one a method and subject, with the columns `protocol`, `digest`,
            `method`, `subject`, `measured_mm` (NaN for a failure), `true_mm` and `vertices` (the
            correlation over the prediction's vertices).
        seed: of the interval.
    """
    known = rows[np.isfinite(rows["measured_mm"])]
    bias = (known["measured_mm"] - known["true_mm"]).groupby(known["subject"]).mean()
    means = known.groupby("method", sort=False)[["measured_mm", "true_mm"]].mean()
    measured, true = float(known["measured_mm"].mean()), float(known["true_mm"].mean())
    return Agreement(
        protocol=str(rows["protocol"].iloc[0]),
        digest=str(rows["digest"].iloc[0]),
        measured_mm=measured,
        true_mm=true,
        bias_mm=float(bias.mean()),
        bias_ci95_mm=bootstrap_interval(bias.to_numpy(), seed),
        ratio=measured / true,
        across_subjects=_mean_correlation(known, "method"),
        across_methods=_mean_correlation(known, "subject"),
        across_vertices=float(known["vertices"].mean()),
        kendall=float(kendalltau(means["measured_mm"], means["true_mm"]).statistic),
        exchanged=_exchanged(means),
        failed=len(rows) - len(known),
    )


def _mean_correlation(rows: pd.DataFrame, within: str) -> float:
    each = [correlation(part["measured_mm"], part["true_mm"]) for _, part in rows.groupby(within)]
    known = [value for value in each if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _exchanged(means: pd.DataFrame) -> tuple[str, ...]:
    """Pairs of methods in another order by measured than by true mean error."""
    ordered = means.sort_values("true_mm")
    pairs = combinations(ordered.itertuples(), 2)
    return tuple(
        f"{better.Index} < {worse.Index}"
        for better, worse in pairs
        if worse.true_mm > (1 + EVEN_SHARE) * better.true_mm
        and worse.measured_mm <= better.measured_mm
    )
