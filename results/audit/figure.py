"""The figure of an audit: measured against true error, one panel a protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ..files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS, SIDE_INCHES, DPI = 4, 3.0, 150


def write_figure(rows: pd.DataFrame, path: Path) -> None:
    """Write a PNG: every prediction as a point, coloured by its method; the line is equality.

    Args:
        rows: one a protocol, method and subject, with `protocol`, `method`, `measured_mm` and
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
    for panel in panels[len(protocols) :]:
        panel.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    figure.supxlabel("true error, mm", fontsize=9)
    figure.supylabel("measured, mm", fontsize=9)
    with replacing(path) as draft:
        figure.savefig(draft, format="png")


def _draw(panel: Axes, protocol: str, rows: pd.DataFrame) -> None:
    limit = 1.05 * float(rows[["measured_mm", "true_mm"]].max().max())
    panel.plot([0, limit], [0, limit], color="0.7", linewidth=0.8, zorder=0)
    for method, part in rows.groupby("method", sort=False):
        panel.scatter(part["true_mm"], part["measured_mm"], s=9, label=str(method), linewidths=0)
    panel.set_title(protocol, fontsize=9)
    panel.set_xlim(0, limit)
    panel.set_ylim(0, limit)
    panel.set_aspect("equal")
    panel.tick_params(labelsize=7)
