"""A sheet of pictures in rows and columns: its content, its layout in inches, its PNG and PDF."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from numpy.typing import NDArray

from ...errors import visible
from ...recon.files.writing import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT_POINTS = 7.0
"""At the size of print: what journals ask of labels at least."""

LINE = FONT_POINTS * 1.25 / 72
_NARROW = FONT_POINTS * 0.45 / 72
"""Inches that a line takes, and a letter of a text of narrow ones."""
_HINTED = 1.07
"""How much wider a line may become where its letters are drawn with few dots."""
GAP, WIDE_GAP = 0.02, 0.1
LABEL_INCHES, LEGEND_INCHES = 0.2, 0.95

LARGEST_CELL = 1.5
"""Side in inches that no picture exceeds, however few there are."""

AS_WRITTEN: Mapping[str, bool] = {"parse_math": False}
"""Of every text that holds a name: Matplotlib takes what stands between two `$` for a formula."""

Picture = NDArray[np.uint8]
"""(S, S, 3) RGB."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One place of the sheet.

    Attributes:
        picture: square, or None for an empty place.
        caption: written below it, wrapped; or empty.
        text: written into an empty place, wrapped.
    """

    picture: Picture | None = None
    caption: str = ""
    text: str = ""


@dataclass(frozen=True, eq=False)
class Row:
    """Pictures side by side.

    Attributes:
        label: written along the row's left side.
        cells: one a column.
        opens: whether it begins a group of rows, set off from the ones above.
    """

    label: str
    cells: tuple[Cell, ...]
    opens: bool = False


@dataclass(frozen=True, eq=False)
class Sheet:
    """A whole figure.

    Attributes:
        heads: lines above the first row, each with one text a column; a text that repeats the one
            before it spans both.
        rows: from top to bottom.
        notes: lines below the pictures, wrapped.
        legend: colour (RGB in 0 to 255) and name of each kind of area, below the notes.
        wide_before: columns that are set off from the one before.
    """

    heads: tuple[tuple[str, ...], ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    legend: tuple[tuple[tuple[int, int, int], str], ...] = ()
    wide_before: frozenset[int] = frozenset()


def write_sheet(sheet: Sheet, stem: Path, width: float = 7.0, dots: int = 300) -> tuple[Path, Path]:
    """Write `STEM.png` and `STEM.pdf`, each in one step; the same sheet gives the same bytes.

    Args:
        sheet: what is drawn.
        stem: of both files.
        width: of the page's text in inches; 7 are two columns of a journal, 3.4 one.
        dots: of the PNG, per inch.
    """
    from matplotlib.figure import Figure

    plan = Plan(sheet, width)
    figure = Figure(figsize=(plan.width, plan.height), dpi=dots)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0.0, plan.width)
    # One axis over the whole paper in inches, y running down: the plan's numbers are drawn as is.
    axes.set_ylim(plan.height, 0.0)
    _draw(axes, plan)
    return write_figure(figure, stem)


def write_figure(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write `STEM.png` and `STEM.pdf`, each in one step; the same figure gives the same bytes."""
    from matplotlib import rc_context
    from matplotlib.image import AxesImage

    paths = (stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.pdf"))
    for path in paths:
        kind = path.suffix[1:]
        # Dates and versions in the files would make equal figures differ in their bytes.
        silent = {"CreationDate": None} if kind == "pdf" else {"Software": None}
        if kind == "pdf":
            # Pictures as they are, one by one: resampled into one with clear gaps, they print with
            # grey hairlines along their sides.
            for picture in figure.findobj(AxesImage):
                picture.set(interpolation="none")
        # Fonts as TrueType: journals refuse the Type 3 that would be embedded otherwise.
        exact = {"pdf.fonttype": 42, "image.composite_image": False}
        with atomic_write(path) as draft, rc_context(exact):
            figure.savefig(draft, format=kind, metadata=silent)
    return paths


def _draw(axes: Axes, plan: Plan) -> None:
    sheet = plan.sheet
    for middle, bottom, lines in plan.heads:
        _write(axes, middle, bottom, lines, "center", "bottom")
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
        # Antialiased: a picture of 256 px in 1.5 inches at 300 dots is resampled either way.
        axes.imshow(cell.picture, extent=extent, interpolation="antialiased", aspect="auto")
    if cell.caption:
        lines = wrap(cell.caption, side)
        _write(axes, left + side / 2, top + side + 0.25 * GAP, lines, "center", "top")
    if cell.text:
        _write(axes, left, top + GAP, wrap(cell.text, side), "left", "top")


def _patch(axes: Axes, left: float, top: float, colour: Sequence[int], name: str) -> None:
    from matplotlib.patches import Rectangle

    side = LINE * 0.8
    # Matplotlib takes colours from 0 to 1 and reads larger numbers as an error.
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
        *(x, y, "\n".join(map(visible, lines))),
        fontsize=FONT_POINTS,
        horizontalalignment=across,
        verticalalignment=upright,
        rotation=rotation,
        linespacing=1.15,
        **AS_WRITTEN,
    )


class Plan:
    """Where everything stands, in inches from the upper left corner.

    Args:
        sheet: what is drawn.
        width: of the paper; no wider than the pictures need.
    """

    def __init__(self, sheet: Sheet, width: float) -> None:
        self.sheet = sheet
        columns = len(sheet.heads[0])
        # A wider gap separates methods without a ruled line.
        gaps = [WIDE_GAP if c in sheet.wide_before else GAP for c in range(1, columns)]
        # Labels cost width only where a row has one.
        self.left = LABEL_INCHES if any(row.label for row in sheet.rows) else GAP
        free = width - self.left - GAP - sum(gaps)
        self.side = min(free / columns, LARGEST_CELL)
        offsets = np.cumsum([0.0, *(self.side + gap for gap in gaps)])
        self.columns = [self.left + float(offset) for offset in offsets]
        # The paper shrinks to the pictures: few columns leave no white margin.
        self.width = self.columns[-1] + self.side + GAP
        self.heads, below = self._heads()
        self.rows, below = self._rows(below)
        self.notes = [line for note in sheet.notes for line in wrap(note, self.width - 2 * GAP)]
        self.notes_top = below + WIDE_GAP / 2
        self.legend_top = self.notes_top + len(self.notes) * LINE + (GAP if self.notes else 0.0)
        self.legend_columns = max(1, int(self.width / LEGEND_INCHES))
        lines = -(-len(sheet.legend) // self.legend_columns)
        self.height = self.legend_top + lines * LINE * 1.2 + GAP

    def _heads(self) -> tuple[list[tuple[float, float, list[str]]], float]:
        """Middle, bottom and lines of all heads, and where they end."""
        heads: list[tuple[float, float, list[str]]] = []
        bottom = GAP
        for names in self.sheet.heads:
            spans = [(*self._reach(first, last), names[first]) for first, last in _runs(names)]
            texts = [(left, width, wrap(name, width)) for left, width, name in spans]
            # All heads of a line end at the same height, so short ones sit above the pictures.
            bottom += LINE * max(len(lines) for *_, lines in texts)
            heads += [(left + width / 2, bottom, lines) for left, width, lines in texts]
        return heads, bottom + GAP

    def _reach(self, first: int, last: int) -> tuple[float, float]:
        """Left edge and width of some columns."""
        return self.columns[first], self.columns[last] + self.side - self.columns[first]

    def _rows(self, top: float) -> tuple[list[float], float]:
        """The upper edges of the rows, and where the last ends."""
        tops = []
        for number, row in enumerate(self.sheet.rows):
            # Not above the first row, which has the heads above it.
            top += WIDE_GAP if row.opens and number else 0.0
            tops.append(top)
            # A row is as tall as its longest caption: otherwise it would run into the next row.
            captions = (len(wrap(cell.caption, self.side)) for cell in row.cells)
            top += self.side + GAP + LINE * max(captions, default=0)
        return tops, top


def wrap(text: str, width: float) -> list[str]:
    """Lines of a text that fit into so many inches, with at least four letters each."""
    # From the widest guess down: narrow letters fit more, so the first that fits is the best.
    text = visible(text)
    lines = [text]
    for letters in range(max(4, int(width / _NARROW)), 3, -1):
        lines = textwrap.wrap(text, letters)
        if all(_inches(line) <= width for line in lines):
            break
    return lines


def minus(text: str) -> str:
    """Numbers with the minus sign of print."""
    return text.replace("-", "−")


@cache
def _inches(line: str) -> float:
    """Width of a line as it is printed."""
    font = FontProperties(size=FONT_POINTS)
    # Measured as outlines, without a renderer, so the plan is the same for PNG and PDF.
    width, *_ = TextToPath().get_text_width_height_descent(line, font, ismath=False)
    return _HINTED * float(width) / 72


def _runs(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last place of each run of equal names."""
    start = 0
    for _, run in groupby(names):
        length = len(list(run))
        yield start, start + length - 1
        start += length
