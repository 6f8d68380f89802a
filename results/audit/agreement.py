"""How well a protocol's numbers agree with the true errors, and what each choice in it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from ...bench.audit.correlation import correlation
from ...bench.scoring.statistics import Interval, bootstrap_interval
from ..tables.basis import short_digest
from ..tables.table import Cell, Table, number_text

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


AGREEMENT_NOTES = (
    "Errors in mm, means over methods and subjects; the bias with its 95 % interval over subjects. "
    "True: between corresponding vertices after the best alignment, by the protocol's statistic.",
    "r: correlation of measured with true error over the subjects of a method, over the methods "
    "of a subject, over the vertices of a face. τ: Kendall's, of the methods' order.",
)


def agreement_table(agreements: Sequence[Agreement]) -> Table:
    """Protocols against the truth, one row a protocol."""
    return Table(
        title="Protocols against the truth",
        head=(
            *("protocol", "measured", "true", "bias", "r subjects", "r methods", "r vertices", "τ"),
        ),
        rows=tuple(map(_agreement_row, agreements)),
        notes=agreement_notes(agreements),
    )


def _agreement_row(item: Agreement) -> tuple[Cell, ...]:
    low, high = item.bias_ci95_mm.low, item.bias_ci95_mm.high
    bias = Cell(number_text(item.bias_mm, sign=True), (f"[{low:+.2f}, {high:+.2f}]",))
    correlations = (item.across_subjects, item.across_methods, item.across_vertices, item.kendall)
    return (
        Cell(item.protocol),
        *map(Cell, map(number_text, (item.measured_mm, item.true_mm))),
        bias,
        *map(Cell, map(number_text, correlations)),
    )


def agreement_notes(agreements: Sequence[Agreement]) -> tuple[str, ...]:
    """What stands beside the table: its terms, the digests, wrong orders and failures."""
    digests = ", ".join(f"{item.protocol} {short_digest(item.digest)}" for item in agreements)
    exchanged = (
        f"{item.protocol} puts in the wrong order: {'; '.join(item.exchanged)}."
        for item in agreements
        if item.exchanged
    )
    failed = (
        f"{item.protocol}: {item.failed} predictions have no number and are left out."
        for item in agreements
        if item.failed
    )
    return (*AGREEMENT_NOTES, *exchanged, *failed, f"Digests: {digests}.")


def worth_table(worths: Sequence[Worth]) -> Table:
    """What each choice is worth; the first is what the others are compared with."""
    return Table(
        title="What each choice is worth",
        head=("choice", "mean mm", "change", "subjects"),
        rows=tuple(_worth_row(item, index > 0) for index, item in enumerate(worths)),
        notes=("One thing done otherwise, everything else as it is; intervals over subjects.",),
    )


def _worth_row(item: Worth, compared: bool) -> tuple[Cell, ...]:
    low, high = item.ci95.low, item.ci95.high
    change = Cell(f"{item.change:+.1%}", (f"[{low:+.1%}, {high:+.1%}]",))
    if not item.n_subjects:
        change = Cell("could not be measured")
    counted = (number_text(item.mean_mm, 3), str(item.n_subjects))
    return (Cell(item.choice), Cell(counted[0]), change if compared else Cell(""), Cell(counted[1]))
