"""An audit as tables, and the folder it is kept in: page, figure, JSON and CSV."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...errors import count_of
from ...recon.files.text import write_json, write_text
from ...recon.files.writing import atomic_write
from ..report.frame import html_page
from ..tables.basis import short_digest
from ..tables.table import DASH, Cell, Table, number_text
from ..tables.writers import Markup, html, join, tag, void
from .agreement import STEPS_MM, Agreement, Estimate, Sensitivity, agreement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


COLUMNS, SIDE_INCHES, DPI = 2, 3.75, 150
"""Of the figure: panels in a line at most, the side of one, and dots per inch."""
MARKERS = (("o", "#14607a"), ("s", "#d3671c"), ("^", "#7a4fa3"), ("x", "#2f8a4c"))
"""Form and colour of each group's points: the form alone tells them in a black and white print."""
LEAST_MM = 0.01
"""Smaller errors are drawn here: a displacement that a model has not is an error of 1e-14 mm."""


class Audit:
    """What an audit found.

    Args:
        source: the set and the run it was made with, in words.
        rows: one per protocol, method and subject, the columns of `AuditRow`; may be empty.
        sensitivities: of the choices, the first being the run's own protocol; may be empty.
        seed: of the intervals.

    Attributes:
        agreements: of each protocol's rows with the truth, in the order asked for.
    """

    def __init__(
        self,
        source: str,
        rows: pd.DataFrame,
        sensitivities: Sequence[Sensitivity] = (),
        seed: int = 0,
    ) -> None:
        self.source, self.rows, self.sensitivities = source, rows, tuple(sensitivities)
        parts = (part for _, part in rows.groupby("protocol", sort=False)) if len(rows) else ()
        self.agreements = tuple(agreement(part, seed) for part in parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; NaN and infinity where there is no number."""
        return {
            "source": self.source,
            "protocols": [asdict(item) for item in self.agreements],
            "choices": [asdict(item) for item in self.sensitivities],
        }


def write_audit(audit: Audit, folder: Path) -> Path:
    """Write `audit.html`, `.json`, `.csv` with every row and `.png`; gives the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = folder / "audit.png"
    if len(audit.rows):
        write_figure(audit.rows, figure)
        with atomic_write(folder / "audit.csv") as draft:
            audit.rows.to_csv(draft, index=False)
    write_json(folder / "audit.json", audit.to_dict())
    page = folder / "audit.html"
    picture = figure if len(audit.rows) else None
    write_text(page, render(audit, picture))
    return page


def write_figure(rows: pd.DataFrame, path: Path) -> None:
    """Write a PNG: every prediction as a point, marked by its group; the line is equality.

    Args:
        rows: one per protocol, method and subject, with `protocol`, `group`, `measured_mm` and
            `true_mm`.
        path: the file; replaced in one step.
    """
    from matplotlib.figure import Figure

    protocols = list(rows["protocol"].unique())
    columns = min(COLUMNS, len(protocols))
    lines = -(-len(protocols) // columns)
    size = (columns * SIDE_INCHES, lines * SIDE_INCHES + 0.4)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, protocol in zip(panels, protocols, strict=False):
        _draw(panel, protocol, rows[rows["protocol"] == protocol])
    # The grid is filled up to whole lines; empty axes would look like lost panels.
    for panel in panels[len(protocols) :]:
        panel.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    figure.supxlabel("true error, mm", fontsize=9)
    figure.supylabel("measured, mm", fontsize=9)
    with atomic_write(path) as draft:
        figure.savefig(draft, format="png")


def _draw(panel: Axes, protocol: str, rows: pd.DataFrame) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    # A bump's error is a thirtieth of another person's: on linear scales most would be one spot.
    # The same scale on both axes, or the line of equality would be no diagonal.
    errors = rows[["true_mm", "measured_mm"]].clip(lower=LEAST_MM)
    limits = (0.8 * float(errors.min().min()), 1.25 * float(errors.max().max()))
    panel.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
    panel.plot(limits, limits, color="0.7", linewidth=0.8, zorder=0)
    groups = errors.groupby(rows["group"], sort=False)
    for (group, part), (marker, colour) in zip(groups, cycle(MARKERS), strict=False):
        style = {"color": colour, "fillstyle": "none", "markersize": 4, "markeredgewidth": 0.8}
        places = (part["true_mm"], part["measured_mm"])
        panel.plot(*places, marker, label=str(group), **style)
    panel.set_title(protocol, fontsize=9, parse_math=False)
    panel.tick_params(labelsize=7)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())


def render(audit: Audit, figure: Path | None) -> str:
    """The page, with the figure of a PNG file inside it."""
    sections = []
    if figure is not None:
        sections += [
            ("truth", "Protocols against the truth", _truth(audit.agreements, figure)),
            ("predictors", "What each protocol sees", html(predictor_table(audit.rows))),
        ]
    if audit.sensitivities:
        table = html(sensitivity_table(audit.sensitivities))
        sections.append(("choices", "What each choice changes", table))
    return html_page("facebench audit", "How true the numbers are", audit.source, sections)


def _truth(agreements: Sequence[Agreement], figure: Path) -> Markup:
    data = base64.b64encode(figure.read_bytes()).decode()
    picture = void(
        "img",
        src=f"data:image/png;base64,{data}",
        alt="Measured against true error for every prediction, one panel per protocol",
        class_="wide",
    )
    return join(html(agreement_table(agreements)), tag("figure", picture))


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
        f"{item.protocol}: {count_of(item.failed, 'prediction')} without a number, "
        f"left out here; the first: {item.reason}."
        for item in agreements
        if item.failed
    )
    doubtful = (
        f"{item.protocol}: doubtful numbers, each with its note in audit.csv: {item.doubtful}."
        for item in agreements
        if item.doubtful
    )
    return (*AGREEMENT_NOTES, *exchanged, *within, *failed, *doubtful, f"Digests: {digests}.")


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
