"""A figure of pictures in rows and columns, before it is laid out and drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Print:
    """How a figure is printed.

    Attributes:
        width: of the page's text in inches; 7 are two columns of a journal, 3.4 one.
        dots: of the PNG, an inch.
        largest_cell: side in inches that no picture exceeds.
    """

    width: float = 7.0
    dots: int = 300
    largest_cell: float = 1.5
