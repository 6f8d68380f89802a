"""Where everything on a sheet stands, in inches from the upper left corner of the paper."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from .sheet import Print, Sheet

FONT_POINTS = 7.0
"""At the size of print: what journals ask of labels at least."""

LINE = FONT_POINTS * 1.25 / 72
_NARROW = FONT_POINTS * 0.45 / 72
"""Inches that a line takes, and a letter of a text of narrow ones."""
_HINTED = 1.07
"""How much wider a line may become where its letters are drawn with few dots."""
GAP, WIDE_GAP = 0.02, 0.1
LABEL_INCHES, LEGEND_INCHES = 0.2, 0.95


@dataclass(frozen=True)
class Head:
    """A text above some columns, in inches: left edge, width and bottom."""

    left: float
    width: float
    bottom: float
    lines: list[str]


class Plan:
    """Where everything stands, in inches from the upper left corner.

    Args:
        sheet: what is drawn.
        form: how it is printed.
    """

    def __init__(self, sheet: Sheet, form: Print) -> None:
        self.sheet, self.form = sheet, form
        columns = len(sheet.heads[0])
        gaps = [WIDE_GAP if c in sheet.wide_before else GAP for c in range(1, columns)]
        self.left = LABEL_INCHES if any(row.label for row in sheet.rows) else GAP
        free = form.width - self.left - GAP - sum(gaps)
        self.side = min(free / columns, form.largest_cell)
        offsets = np.cumsum([0.0, *(self.side + gap for gap in gaps)])
        self.columns = [self.left + float(offset) for offset in offsets]
        self.width = self.columns[-1] + self.side + GAP
        self.heads, below = self._heads()
        self.rows, below = self._rows(below)
        self.notes = [line for note in sheet.notes for line in wrapped(note, self.width)]
        self.notes_top = below + WIDE_GAP / 2
        self.legend_top = self.notes_top + len(self.notes) * LINE + (GAP if self.notes else 0.0)
        self.legend_columns = max(1, int(self.width / LEGEND_INCHES))
        lines = -(-len(sheet.legend) // self.legend_columns)
        self.height = self.legend_top + lines * LINE * 1.2 + GAP

    def _heads(self) -> tuple[list[Head], float]:
        """All heads, and where they end."""
        heads: list[Head] = []
        bottom = GAP
        for names in self.sheet.heads:
            spans = [(*self._reach(first, last), names[first]) for first, last in _runs(names)]
            texts = [(left, width, wrapped(name, width)) for left, width, name in spans]
            bottom += LINE * max(len(lines) for *_, lines in texts)
            heads += [Head(left, width, bottom, lines) for left, width, lines in texts]
        return heads, bottom + GAP

    def _reach(self, first: int, last: int) -> tuple[float, float]:
        """Left edge and width of some columns."""
        return self.columns[first], self.columns[last] + self.side - self.columns[first]

    def _rows(self, top: float) -> tuple[list[float], float]:
        """The upper edges of the rows, and where the last ends."""
        tops = []
        for number, row in enumerate(self.sheet.rows):
            top += WIDE_GAP if row.opens and number else 0.0
            tops.append(top)
            captions = (len(wrapped(cell.caption, self.side)) for cell in row.cells)
            top += self.side + GAP + LINE * max(captions, default=0)
        return tops, top


def wrapped(text: str, width: float) -> list[str]:
    """Lines of a text that fit into so many inches, with at least four letters each."""
    lines = [text]
    for letters in range(max(4, int(width / _NARROW)), 3, -1):
        lines = textwrap.wrap(text, letters)
        if all(_inches(line) <= width for line in lines):
            break
    return lines


@cache
def _inches(line: str) -> float:
    """Width of a line as it is printed."""
    font = FontProperties(size=FONT_POINTS)
    width, *_ = TextToPath().get_text_width_height_descent(line, font, ismath=False)
    return _HINTED * float(width) / 72


def _runs(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last place of each run of equal names."""
    start = 0
    for _, run in groupby(names):
        length = len(list(run))
        yield start, start + length - 1
        start += length
