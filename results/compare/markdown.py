"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..tables.writers import in_cell, markdown_rows, markdown_table
from .comparison import Comparison
from .texts import APART_TITLE, PAIR_HEAD, PAIR_TITLE, apart_head, apart_rows, pair_rows


def comparison_markdown(comparison: Comparison) -> str:
    """The tables of the terminal, one below the other."""
    return "\n".join(_parts(comparison))


def _parts(comparison: Comparison) -> Iterator[str]:
    if comparison.differing:
        head = apart_head(comparison)
        yield markdown_table(APART_TITLE, _safe(head), list(map(_safe, apart_rows(comparison))))
    for group in comparison.groups:
        yield markdown_rows(group.scenes)
        if group.pairs:
            rows = list(map(_safe, pair_rows(group.pairs)))
            yield markdown_table(PAIR_TITLE, PAIR_HEAD, rows, group.notes)


def _safe(cells: Sequence[str]) -> list[str]:
    return [in_cell(cell) for cell in cells]
