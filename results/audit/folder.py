"""What an audit found, and the folder it is kept in: page, figure, JSON and CSV."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..files import atomic_write, write_json, write_text
from ..report.frame import html_page
from ..tables.markup import Markup, join, tag, void
from ..tables.writers import html
from .agreement import Agreement, agreement
from .sensitivity import Sensitivity
from .tables import agreement_table, predictor_table, sensitivity_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS, SIDE_INCHES, DPI = 4, 3.0, 150
"""Of the figure: panels in a line at most, the side of one, and dots per inch."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Attributes:
        source: the set and the run it was made with, in words.
        rows: one per protocol, method and subject, the columns of `AuditRow`; may be empty.
        agreements: one per protocol, in the order asked for.
        sensitivities: of the choices, the first being the run's own protocol; may be empty.
    """

    source: str
    rows: pd.DataFrame
    agreements: tuple[Agreement, ...]
    sensitivities: tuple[Sensitivity, ...]

    @classmethod
    def of(
        cls,
        source: str,
        rows: pd.DataFrame,
        sensitivities: Sequence[Sensitivity] = (),
        seed: int = 0,
    ) -> Audit:
        """Compare each protocol's rows with the truth."""
        parts = (part for _, part in rows.groupby("protocol", sort=False)) if len(rows) else ()
        agreements = tuple(agreement(part, seed) for part in parts)
        return cls(source, rows, agreements, tuple(sensitivities))

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
    """Write a PNG: every prediction as a point, coloured by its method; the line is equality.

    Args:
        rows: one per protocol, method and subject, with `protocol`, `method`, `measured_mm` and
            `true_mm`.
        path: the file; replaced in one step.
    """
    from matplotlib.figure import Figure

    protocols = list(rows["protocol"].unique())
    columns = min(COLUMNS, len(protocols))
    lines = -(-len(protocols) // columns)
    size = (max(columns, 2) * SIDE_INCHES, lines * SIDE_INCHES + 0.7)
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
    # One scale for both axes, or the line of equality would be no diagonal.
    limit = 1.05 * float(rows[["measured_mm", "true_mm"]].max().max())
    panel.plot([0, limit], [0, limit], color="0.7", linewidth=0.8, zorder=0)
    for method, part in rows.groupby("method", sort=False):
        panel.scatter(part["true_mm"], part["measured_mm"], s=9, label=str(method), linewidths=0)
    panel.set_title(protocol, fontsize=9)
    panel.set_xlim(0, limit)
    panel.set_ylim(0, limit)
    panel.set_aspect("equal")
    panel.tick_params(labelsize=7)


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
