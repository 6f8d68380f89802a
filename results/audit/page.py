"""An audit as one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from ..report.frame import Frame, html_page
from ..report.markup import Markup, join, tag, void
from .agreement import Agreement
from .tables import AGREEMENT_COLUMNS, WORTH_COLUMNS, agreement_notes, agreement_rows, worth_rows
from .worth import Worth


def render(
    source: str, agreements: Sequence[Agreement], worths: Sequence[Worth], figure: Path | None
) -> str:
    """The page.

    Args:
        source: what was audited, in words.
        agreements: the rows of the first table; may be empty.
        worths: the rows of the second; may be empty.
        figure: a PNG to put inside the page, or None.
    """
    sections = [
        *([("truth", "Protocols against the truth", _truth(agreements, figure))] if figure else []),
        *([("choices", "What each choice is worth", _choices(worths))] if worths else []),
    ]
    return html_page(Frame("facebench audit", "How true the numbers are", source), sections)


def _truth(agreements: Sequence[Agreement], figure: Path) -> Markup:
    notes = (tag("p", note, class_="note") for note in agreement_notes(agreements))
    data = base64.b64encode(figure.read_bytes()).decode()
    picture = void(
        "img",
        src=f"data:image/png;base64,{data}",
        alt="Measured against true error for every prediction, one panel a protocol",
        class_="wide",
    )
    table = _table(AGREEMENT_COLUMNS, agreement_rows(agreements))
    return join(*notes, table, tag("figure", picture))


def _choices(worths: Sequence[Worth]) -> Markup:
    note = "One thing done otherwise, everything else as it is; intervals over subjects."
    return join(tag("p", note, class_="note"), _table(WORTH_COLUMNS, worth_rows(worths)))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    body = (
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:]))
        for row in rows
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll")
