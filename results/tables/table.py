"""The one table of this program: a title, a head, rows of cells and notes, before it is written.

Whoever has something to show builds a `Table`; `writers` puts it on a terminal, into Markdown, CSV,
LaTeX or HTML. Text is made harmless once, here, so that no writer can forget it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...errors import visible

DASH = "–"
"""Stands for a number that is not known."""

Style = Literal["", "best", "pass", "warn", "fail", "unknown", "skipped"]
Value = str | int | float | None


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what is read.
        details: smaller lines below it, such as an interval.
        style: what the cell stands out for.
        value: the exact value behind the text, for CSV; the text itself when None.
    """

    text: str
    details: tuple[str, ...] = ()
    style: Style = ""
    value: Value = None

    def __post_init__(self) -> None:
        # Names come from files and folders: none may move a cursor or turn a line round.
        object.__setattr__(self, "text", visible(self.text))
        object.__setattr__(self, "details", tuple(visible(line) for line in self.details if line))

    @property
    def lines(self) -> tuple[str, ...]:
        """The text and its details."""
        return (self.text, *self.details)


@dataclass(frozen=True)
class Table:
    """What is shown, in no form yet.

    Attributes:
        title: above the table; may be empty.
        head: the name of every column.
        rows: of as many cells as the head has.
        notes: one line each, below the table.
        left: columns of words, which begin at the left and may be wrapped; all others hold numbers.
        aside: trailing columns that a narrow terminal puts below each other in one.
        ends: numbers of the rows after which a line is drawn.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    left: tuple[int, ...] = (0,)
    aside: int = 0
    ends: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        wrong = [len(row) for row in self.rows if len(row) != len(self.head)]
        if wrong:
            raise ValueError(f"a row has {wrong[0]} cells, the head {len(self.head)}")
        object.__setattr__(self, "title", visible(self.title))
        for name in ("head", "notes"):
            object.__setattr__(self, name, tuple(map(visible, getattr(self, name))))


def text_rows(rows: Sequence[Sequence[str]]) -> tuple[tuple[Cell, ...], ...]:
    """Rows of plain texts as rows of cells."""
    return tuple(tuple(map(Cell, row)) for row in rows)


def value_cell(value: Value) -> Cell:
    """A cell of a table for machines: the exact value, nothing where it is unknown."""
    if value is None or value != value:
        return Cell("", value="")
    return Cell(str(value), value=value)


def number_text(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number with so many decimals, or a dash."""
    if not math.isfinite(value):
        return DASH
    return f"{value:{'+' if sign else ''}.{digits}f}"


def spread_text(mean: float, deviation: float) -> str:
    """`1.36 ± 0.12`, `1.36 ± –` for one subject, or a dash without a score."""
    return f"{mean:.2f} ± {number_text(deviation)}" if math.isfinite(mean) else DASH


def share_text(share: float, digits: int = 0) -> str:
    """A share as per cent, or a dash."""
    return f"{share:.{digits}%}" if math.isfinite(share) else DASH


def interval_text(low: float, high: float, digits: int = 2) -> str:
    """`[1.33, 1.39]`, or nothing when unknown."""
    return f"[{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low + high) else ""


def p_text(p_value: float) -> str:
    """`0.031`, `< 0.001`, or a dash when unknown."""
    return "< 0.001" if p_value < 0.001 else number_text(p_value, 3)
