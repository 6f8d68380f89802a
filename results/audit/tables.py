"""The rows of an audit's two tables, and how a terminal shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table

from ..tables.basis import short_digest
from .agreement import Agreement
from .worth import Worth

AGREEMENT_COLUMNS = (
    "protocol",
    "measured",
    "true",
    "bias",
    "r\nsubjects",
    "r\nmethods",
    "r\nvertices",
    "τ",
)
AGREEMENT_NOTES = (
    "Errors in mm, means over methods and subjects; the bias with its 95 % interval over subjects. "
    "True: between corresponding vertices after the best alignment, by the protocol's statistic.",
    "r: correlation of measured with true error over the subjects of a method, over the methods "
    "of a subject, over the vertices of a face. τ: Kendall's, of the methods' order.",
)
WORTH_COLUMNS = ("choice", "mean mm", "change [95 %]", "subjects")


def agreement_rows(agreements: Sequence[Agreement]) -> list[tuple[str, ...]]:
    """One row of text a protocol."""
    return [
        (
            item.protocol,
            f"{item.measured_mm:.2f}",
            f"{item.true_mm:.2f}",
            f"{item.bias_mm:+.2f}\n[{item.bias_ci95_mm.low:+.2f}, {item.bias_ci95_mm.high:+.2f}]",
            *map(_correlation, (item.across_subjects, item.across_methods, item.across_vertices)),
            _correlation(item.kendall),
        )
        for item in agreements
    ]


def agreement_notes(agreements: Sequence[Agreement]) -> tuple[str, ...]:
    """What stands beside the table: its terms, the digests, wrong orders and failures."""
    digests = ", ".join(f"{item.protocol} {short_digest(item.digest)}" for item in agreements)
    exchanged = (
        f"{item.protocol} puts in the wrong order: {'; '.join(item.exchanged)}."
        for item in agreements
        if item.exchanged
    )
    failed = (
        f"{item.protocol}: {item.failed} predictions have no number and are left out."
        for item in agreements
        if item.failed
    )
    return (*AGREEMENT_NOTES, *exchanged, *failed, f"Digests: {digests}.")


def worth_rows(worths: Sequence[Worth]) -> list[tuple[str, ...]]:
    """One row of text a choice; the first is what the others are compared with."""
    return [
        (
            item.choice,
            f"{item.mean_mm:.3f}",
            "" if index == 0 else _change(item),
            str(item.n_subjects),
        )
        for index, item in enumerate(worths)
    ]


def agreement_table(agreements: Sequence[Agreement]) -> Table:
    """Protocols against the truth, for a terminal."""
    caption = "\n".join(agreement_notes(agreements))
    rows = agreement_rows(agreements)
    return _table("Protocols against the truth", caption, AGREEMENT_COLUMNS, rows)


def worth_table(worths: Sequence[Worth]) -> Table:
    """What each choice is worth, for a terminal."""
    return _table("What each choice is worth", "", WORTH_COLUMNS, worth_rows(worths))


def _table(
    title: str, caption: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> Table:
    table = Table(
        title=title,
        caption=caption or None,
        caption_justify="left",
        box=box.HORIZONTALS,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    return table


def _correlation(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _change(item: Worth) -> str:
    if not item.n_subjects:
        return "could not be measured"
    low, high = item.ci95.low, item.ci95.high
    return f"{item.change:+.1%} [{low:+.1%}, {high:+.1%}]"
