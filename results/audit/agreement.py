"""How a protocol's numbers agree with the true errors, and how each of its choices changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import nctdtr, stdtrit

from ...bench.audit.measure import correlation
from ...bench.audit.predictors import LADDER_MM
from ...bench.scoring.statistics import UNKNOWN, Interval, bootstrap_interval, percentile_interval

Array = NDArray[np.float64]

EVEN_SHARE = 0.01
"""Methods whose true errors differ by less than this have no order that a protocol could lose."""
RESAMPLES = 500
"""Of the intervals: the people are drawn anew, with everything that was measured of them."""
MOST_PEOPLE = 5000
STEPS_MM = (0.05, 0.14)
"""Differences of two methods: what tables of the field turn on, and that of the paper's Table 1."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % bootstrap interval over people."""

    value: float
    ci95: Interval


@dataclass(frozen=True)
class Agreement:
    """One protocol against the truth, over the predictors that differ by how much they know.

    Attributes:
        protocol, digest: which.
        people: measured.
        measured_mm, true_mm: means over all predictors and people, each by the protocol's own
            statistic; the true one over the area of the skin that the scan shows.
        bias: measured over true, less one, of the means.
        across_people: Pearson correlation of measured and true error over the people of one
            predictor, mean over predictors.
        pooled: the same over all predictions.
        across_vertices: the same over the skin of one prediction, mean over predictions.
        kendall: τ between the order of the predictors by measured and by true mean error.
        people_to_tell: for each of `STEPS_MM`, how many people a paired test of two methods needs
            to see that difference with a power of 80 %, by the ladder; infinite where it never
            would, NaN where there was no ladder.
        within: share of the predictions whose true error lies within the protocol's own standard
            deviation of the measured one; NaN where it states none.
        exchanged: pairs of predictors that the protocol orders wrongly, `better < worse` by truth.
        failed: predictions without a number.
        reason: of the first of them.
        doubtful: predictions whose row says what speaks against their number.
    """

    protocol: str
    digest: str
    people: int
    measured_mm: float
    true_mm: float
    bias: Estimate
    across_people: Estimate
    pooled: Estimate
    across_vertices: Estimate
    kendall: Estimate
    people_to_tell: tuple[float, ...]
    within: float
    exchanged: tuple[str, ...]
    failed: int
    reason: str
    doubtful: int


def agreement(rows: pd.DataFrame, seed: int = 0) -> Agreement:
    """Compare a protocol with the truth.

    Args:
        rows: of one protocol, one per predictor and person: the columns of `AuditRow`.
        seed: of the intervals.
    """
    predictors, ours = _arrays(rows, "identity")
    _, (ladder, *_) = _arrays(rows, "ladder")
    known, people = _known(ours), ours.shape[2]
    generator = np.random.default_rng(seed)
    # One set of draws for all statistics: whole people, so that a face's errors stay together.
    samples = [ours[:, :, generator.integers(0, people, size=people)] for _ in range(RESAMPLES)]

    def estimate(statistic: Callable[[Array], float]) -> Estimate:
        drawn = np.array([statistic(sample) for sample in samples])
        # A draw of one person over and over has no correlation.
        drawn = drawn[np.isfinite(drawn)]
        # Where most draws have no value, percentiles of the rest would be those of the easy ones.
        enough = people > 1 and len(drawn) > RESAMPLES // 2
        return Estimate(statistic(ours), percentile_interval(drawn) if enough else UNKNOWN)

    reasons = [text for text in rows["reason"].astype(str) if text]
    return Agreement(
        protocol=str(rows["protocol"].iloc[0]),
        digest=str(rows["digest"].iloc[0]),
        people=people,
        measured_mm=_mean(ours[0][known]),
        true_mm=_mean(ours[1][known]),
        bias=estimate(_bias),
        across_people=estimate(lambda table: _mean(map(correlation, table[0], table[1]))),
        pooled=estimate(lambda table: correlation(table[0].ravel(), table[1].ravel())),
        across_vertices=estimate(lambda table: _mean(table[2].ravel())),
        kendall=estimate(_kendall),
        people_to_tell=tuple(_people_to_tell(ladder, step) for step in STEPS_MM),
        within=_share_within(rows[rows["group"] == "identity"]),
        exchanged=_exchanged_pairs(predictors, ours),
        failed=int((~np.isfinite(rows["measured_mm"].to_numpy(np.float64))).sum()),
        reason=reasons[0] if reasons else "",
        doubtful=int((rows["note"].astype(str) != "").sum()),
    )


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


def _arrays(rows: pd.DataFrame, group: str) -> tuple[tuple[str, ...], Array]:
    """A group's predictors, and their numbers (3, predictors, people): measured and true error, and
    their correlation over the skin; NaN where there is none."""
    chosen = rows[rows["group"] == group]
    # The people of two models have the same numbers.
    key = chosen["model"].astype(str) + "/" + chosen["subject"].astype(str)
    names = tuple(dict.fromkeys(chosen["method"]))
    tables = [
        chosen.assign(person=key)
        .pivot(index="method", columns="person", values=column)
        # Pivot sorts by name; the rungs of the ladder must stay in their order.
        .reindex(list(names))
        .to_numpy(np.float64)
        for column in ("measured_mm", "true_mm", "vertices")
    ]
    return names, np.stack(tables)


def _known(table: Array) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(table[0]) & np.isfinite(table[1]))


def _bias(table: Array) -> float:
    (measured, true, _), known = table, _known(table)
    # Of sums, no mean of ratios: a tiny true error would weigh as much as all others.
    return float(measured[known].sum() / true[known].sum() - 1)


def _means(table: Array) -> tuple[Array, Array]:
    """Mean measured and true error of each predictor, over the people measured with it."""
    # Both over the same people: a failure would shift one mean and not the other.
    known = np.where(_known(table), 1.0, np.nan)
    with np.errstate(all="ignore"):
        return np.nanmean(table[0] * known, 1), np.nanmean(table[1] * known, 1)


def _kendall(table: Array) -> float:
    """Kendall's τ-b between the orders of the predictors by measured and by true mean error."""
    measured, true = (np.sign(means[:, None] - means) for means in _means(table))
    with np.errstate(invalid="ignore"):  # all are even: no order
        return float((measured * true).sum() / np.sqrt((measured**2).sum() * (true**2).sum()))


def _people_to_tell(ladder: Array, step_mm: float) -> float:
    """How many people it takes for four of five paired t-tests to see a step of the true error.

    The ladder's true errors rise by 0.05 mm for everybody, so the measured differences of two rungs
    tell how much of a step the protocol sees, and how much of it is noise of its own.

    Args:
        ladder: (rungs, people) measured errors, rungs of equal steps in their order.
        step_mm: between two methods.
    """
    if len(ladder) < 2:
        return float("nan")
    # As many rungs apart as the step is wide: noise may grow with a difference.
    apart = max(1, min(round(step_mm / LADDER_MM), len(ladder) - 1))
    differences = (ladder[apart:] - ladder[:-apart]).ravel()
    differences = differences[np.isfinite(differences)]
    if len(differences) < 3:
        return float("nan")
    # What the protocol shows of the step; its own bias makes that more or less than the step.
    seen = differences.mean() * step_mm / (apart * LADDER_MM)
    if seen <= 0:
        return float("inf")
    # In standard deviations of the paired difference, by which the power is tabulated. Two people
    # tell one of thirty, and the noncentral t has no number for one without end.
    effect = float(seen / max(differences.std(ddof=1), seen / 30))
    people = np.arange(2, MOST_PEOPLE)
    # Two-sided at 5 %; the statistic follows the noncentral t where there is a difference.
    missed = nctdtr(people - 1, effect * np.sqrt(people), stdtrit(people - 1, 0.975))
    enough = np.flatnonzero(missed <= 0.2)
    return float(people[enough[0]]) if len(enough) else float("inf")


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _share_within(rows: pd.DataFrame) -> float:
    """Share of the rows whose true error is within one deviation of the measured error."""
    # Audits of before there were deviations have no such column.
    if "deviation_mm" not in rows:
        return float("nan")
    stated = rows[np.isfinite(rows["deviation_mm"].to_numpy(np.float64))]
    off = (stated["true_mm"] - stated["measured_mm"]).abs()
    return _mean((off <= stated["deviation_mm"]).to_numpy(np.float64))


def _exchanged_pairs(predictors: tuple[str, ...], table: Array) -> tuple[str, ...]:
    """Pairs of predictors in another order by measured than by true mean error."""
    measured, true = _means(table)
    return tuple(
        f"{predictors[better]} < {predictors[worse]}"
        # In the order of the truth, so the first of a pair is the better one.
        for better, worse in combinations(np.argsort(true), 2)
        # Equal numbers count as exchanged: who sees no difference has no order.
        if true[worse] > (1 + EVEN_SHARE) * true[better] and measured[worse] <= measured[better]
    )
