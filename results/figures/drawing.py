"""A sheet as PNG and PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import replacing
from .layout import FONT_POINTS, GAP, LEGEND_INCHES, LINE, Plan, wrapped
from .sheet import Cell, Print, Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write_sheet(sheet: Sheet, stem: Path, form: Print | None = None) -> tuple[Path, Path]:
    """Write `STEM.png` and `STEM.pdf`, each in one step; the same sheet gives the same bytes."""
    from matplotlib.figure import Figure

    plan = Plan(sheet, form or Print())
    figure = Figure(figsize=(plan.width, plan.height), dpi=plan.form.dots)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0.0, plan.width)
    axes.set_ylim(plan.height, 0.0)
    _draw(axes, plan)
    paths = (stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.pdf"))
    for path in paths:
        kind = path.suffix[1:]
        silent = {"CreationDate": None} if kind == "pdf" else {"Software": None}
        with replacing(path) as draft:
            figure.savefig(draft, format=kind, metadata=silent)
    return paths


def _draw(axes: Axes, plan: Plan) -> None:
    sheet = plan.sheet
    for head in plan.heads:
        _write(axes, head.left + head.width / 2, head.bottom, head.lines, "center", "bottom")
    for row, top in zip(sheet.rows, plan.rows, strict=True):
        if row.label:
            _write(axes, plan.left / 2, top + plan.side / 2, [row.label], rotation=90.0)
        for cell, left in zip(row.cells, plan.columns, strict=False):
            _place(axes, cell, left, top, plan)
    _write(axes, GAP, plan.notes_top, plan.notes, "left", "top")
    for number, (colour, name) in enumerate(sheet.legend):
        line, column = divmod(number, plan.legend_columns)
        _patch(
            axes, GAP + column * LEGEND_INCHES, plan.legend_top + line * LINE * 1.2, colour, name
        )


def _place(axes: Axes, cell: Cell, left: float, top: float, plan: Plan) -> None:
    side = plan.side
    if cell.picture is not None:
        extent = (left, left + side, top + side, top)
        axes.imshow(cell.picture, extent=extent, interpolation="antialiased", aspect="auto")
    if cell.caption:
        lines = wrapped(cell.caption, side)
        _write(axes, left + side / 2, top + side + 0.25 * GAP, lines, "center", "top")
    if cell.text:
        _write(axes, left, top + GAP, wrapped(cell.text, side), "left", "top")


def _patch(axes: Axes, left: float, top: float, colour: Sequence[int], name: str) -> None:
    from matplotlib.patches import Rectangle

    side = LINE * 0.8
    face = tuple(level / 255 for level in colour)
    axes.add_patch(Rectangle((left, top), side, side, facecolor=face, edgecolor="0.3", lw=0.3))
    _write(axes, left + side + GAP, top + side / 2, [name], "left", "center_baseline")


def _write(
    axes: Axes,
    x: float,
    y: float,
    lines: Sequence[str],
    across: str = "center",
    upright: str = "center",
    rotation: float = 0.0,
) -> None:
    axes.text(
        *(x, y, "\n".join(lines)),
        fontsize=FONT_POINTS,
        horizontalalignment=across,
        verticalalignment=upright,
        rotation=rotation,
        linespacing=1.15,
    )
