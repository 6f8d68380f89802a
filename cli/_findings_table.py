"""The table of a command that checks things: a sign, the thing, what was found and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

PASSED, WARNING, FAILED = ("✓", "green"), ("⚠", "yellow"), ("✗", "bold red")
"""Sign and style of a verdict."""
Line = tuple[tuple[str, str], str, str, str]
"""Sign and style, the thing, what was found, and advice or nothing."""


def findings_table(lines: Iterable[Line]) -> Table:
    """A row a finding, its advice below what was found."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(overflow="fold")
    for (sign, style), thing, found, advice in lines:
        detail = Text(found)
        if advice:
            detail.append(f"\n→ {advice}", style="dim")
        table.add_row(Text(sign, style=style), Text(thing), detail)
    return table
