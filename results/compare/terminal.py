"""A comparison for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.table import Table
from rich.text import Text

from ..tables.paired import LEVEL
from ..tables.writers import drawn_rows, empty_table
from .comparison import Comparison, RunGroup, RunPair
from .texts import APART_TITLE, PAIR_TITLE, apart_head, apart_rows, pair_cells

CELL_NOTE = (
    f"Under each difference: its interval; won/tied/lost · p. *: p is below {LEVEL:.0%}, so that "
    "the error is lower, or higher, beyond chance."
)


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """What keeps the groups apart, then each group's errors and differences."""
    if comparison.differing:
        yield _apart_table(comparison)
    for group in comparison.groups:
        yield drawn_rows(group.scenes)
        if group.pairs:
            yield _pairs_table(group)


def _apart_table(comparison: Comparison) -> Table:
    table = empty_table(APART_TITLE)
    for heading in apart_head(comparison):
        table.add_column(Text(heading), overflow="fold")
    for cells in apart_rows(comparison):
        table.add_row(*map(Text, cells))
    return table


def _pairs_table(group: RunGroup) -> Table:
    """One row a pair and one column a scene, so that it fits where the first table fits."""
    table = empty_table(PAIR_TITLE, (*group.notes, CELL_NOTE))
    table.add_column("difference of", min_width=12, overflow="fold")
    for scene in group.scenes.scenes:
        table.add_column(scene, justify="right", no_wrap=True)
    for (first, second), pairs in groupby(group.pairs, lambda pair: (pair.first, pair.second)):
        table.add_row(Text(f"{first} − {second}"), *map(_cell, pairs))
    return table


def _cell(pair: RunPair) -> Text:
    _, _, mean, interval, p_holm, counts, _ = pair_cells(pair)
    shown = pair.result.verdict in ("lower", "higher")
    text = Text(f"{mean} *" if shown else mean, style="bold" if shown else "")
    return text.append(f"\n{interval}\n{counts} · p {p_holm}", style="dim not bold")
