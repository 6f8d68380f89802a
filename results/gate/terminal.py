"""A verdict for the terminal."""

from __future__ import annotations

from types import MappingProxyType

from rich.table import Table
from rich.text import Text

from ..tables.draw import empty_table
from .texts import HEAD, check_cells, remarks, subtitle
from .verdict import Status, Verdict

COLOURS = MappingProxyType(
    {
        Status.PASSED: "green",
        Status.WARNED: "yellow",
        Status.FAILED: "bold red",
        Status.UNKNOWN: "bold magenta",
        Status.SKIPPED: "dim",
    }
)


def verdict_table(verdict: Verdict) -> Table:
    """One row a check; below it the answer, then a line for each check that did not pass."""
    table = empty_table(subtitle(verdict), (verdict.headline, *remarks(verdict)))
    for heading in HEAD[:-1]:
        right = heading in ("measured", "wanted")
        table.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=heading != "what",
            overflow="fold",
        )
    for check in verdict.checks:
        status, *cells, measured, wanted, _ = check_cells(check)
        stacked = measured.replace(" [", "\n[")
        style = COLOURS[check.status]
        table.add_row(Text(status, style=style), *map(Text, (*cells, stacked, wanted)))
    return table
