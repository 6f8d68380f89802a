"""The tables of an audit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..tables.basis import short_digest
from ..tables.table import DASH, Cell, Table, number_text
from .agreement import STEPS_MM, Agreement, Estimate
from .sensitivity import Sensitivity

AGREEMENT_NOTES = (
    (
        "Errors in mm, means over predictors and people. True: between corresponding points after "
        "the best alignment, by the protocol's statistic, over the area of the skin that the scan "
        "shows. In brackets: 95 % intervals over people."
    ),
    (
        "r: correlation of measured with true error over the people of a predictor, over all "
        "predictions, over the skin of a face. τ: Kendall's, of the predictors' order. Last: how "
        "many people a paired test needs to see that difference of two methods four times in five."
    ),
)
PREDICTOR_NOTE = (
    "Means over people: what each protocol reports of each reference predictor, and in brackets "
    "its share of the true error by the same statistic. The first seven know more or less of a "
    "person; then one and the same face in other triangles; then the truth with a known "
    "displacement; then a ladder of steps of 0.05 mm."
)


def agreement_table(agreements: Sequence[Agreement]) -> Table:
    """Protocols against the truth, one row per protocol."""
    steps = [f"people to tell {step:g} mm" for step in STEPS_MM]
    return Table(
        title="Protocols against the truth",
        head=("protocol", "measured", "bias", "r people", "r pooled", "r skin", "τ", *steps),
        rows=tuple(map(_agreement_row, agreements)),
        notes=agreement_notes(agreements),
        aside=len(steps),
    )


def _agreement_row(item: Agreement) -> tuple[Cell, ...]:
    correlations = (item.across_people, item.pooled, item.across_vertices, item.kendall)
    return (
        Cell(item.protocol),
        Cell(number_text(item.measured_mm), (f"of {number_text(item.true_mm)}",)),
        _estimate(item.bias, "+.0%"),
        *map(_estimate, correlations),
        *map(_people, item.people_to_tell),
    )


def agreement_notes(agreements: Sequence[Agreement]) -> tuple[str, ...]:
    """What stands beside the table: its terms, the digests, wrong orders and failures."""
    digests = ", ".join(f"{item.protocol} {short_digest(item.digest)}" for item in agreements)
    exchanged = (
        f"{item.protocol} puts in the wrong order: {'; '.join(item.exchanged)}."
        for item in agreements
        if item.exchanged
    )
    within = (
        f"{item.protocol}: {item.within:.0%} of the true errors lie within one standard deviation "
        "of the measured ones, as each prediction's row states it."
        for item in agreements
        if not math.isnan(item.within)
    )
    failed = (
        f"{item.protocol}: {item.failed} predictions have no number and are left out, the first: "
        f"{item.reason}."
        for item in agreements
        if item.failed
    )
    return (*AGREEMENT_NOTES, *exchanged, *within, *failed, f"Digests: {digests}.")


def predictor_table(rows: pd.DataFrame) -> Table:
    """What each protocol reports of each reference predictor, beside the true error.

    The true error is that of the first protocol's statistic, over everybody; the share in a
    protocol's cell is of the true error by that protocol's own, over the people it could measure.

    Args:
        rows: one per protocol, predictor and person, the columns of `AuditRow`.
    """
    protocols = list(dict.fromkeys(rows["protocol"].astype(str)))
    # A share is of the same people: a failure would lower one mean and leave the other.
    seen = rows.assign(true_of_seen=rows["true_mm"].where(rows["measured_mm"].notna()))
    columns = ["measured_mm", "true_of_seen", "true_mm"]
    means = seen.groupby(["method", "protocol"], sort=False)[columns].mean()
    lines = []
    for method in dict.fromkeys(rows["method"].astype(str)):
        found = means.loc[[(method, protocol) for protocol in protocols]].to_numpy(np.float64)
        cells = [_seen_cell(float(measured), float(true)) for measured, true, _ in found]
        lines.append((Cell(method), Cell(number_text(float(found[0][2]))), *cells))
    head = ("predictor", "true", *protocols)
    return Table("What each protocol sees", head, tuple(lines), (PREDICTOR_NOTE,))


def _seen_cell(measured: float, true: float) -> Cell:
    text = DASH if math.isnan(measured) else f"{measured:.2f} ({measured / true:.0%})"
    return Cell(text, value=measured)


def _estimate(item: Estimate, form: str = ".2f") -> Cell:
    if math.isnan(item.value):
        return Cell(DASH)
    known = not math.isnan(item.ci95.low)
    interval = f"[{item.ci95.low:{form}}, {item.ci95.high:{form}}]" if known else ""
    return Cell(format(item.value, form), (interval,), value=item.value)


def _people(number: float) -> Cell:
    if math.isnan(number):
        return Cell(DASH)
    return Cell("never" if math.isinf(number) else f"{number:.0f}", value=number)


def sensitivity_table(items: Sequence[Sensitivity]) -> Table:
    """What each choice changes; the first is what the others are compared with."""
    return Table(
        title="What each choice changes",
        head=("choice", "mean mm", "change", "subjects"),
        rows=tuple(_sensitivity_row(item, index > 0) for index, item in enumerate(items)),
        notes=("One thing done otherwise, everything else as it is; intervals over subjects.",),
    )


def _sensitivity_row(item: Sensitivity, compared: bool) -> tuple[Cell, ...]:
    low, high = item.ci95.low, item.ci95.high
    change = Cell(f"{item.change:+.1%}", (f"[{low:+.1%}, {high:+.1%}]",))
    if not item.n_subjects:
        change = Cell("could not be measured")
    mean, count = Cell(number_text(item.mean_mm, 3)), Cell(str(item.n_subjects))
    return (Cell(item.choice), mean, change if compared else Cell(""), count)
