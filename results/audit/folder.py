"""What an audit found, and the folder it is kept in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..files import replacing, write_json, write_text
from .agreement import Agreement, agreement
from .figure import write_figure
from .page import render
from .worth import Worth


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Attributes:
        source: the set and the run it was made with, in words.
        rows: one a protocol, method and subject, the columns of `AuditRow`; may be empty.
        agreements: one a protocol, in the order asked for.
        worths: of the choices, the first being the run's own protocol; may be empty.
    """

    source: str
    rows: pd.DataFrame
    agreements: tuple[Agreement, ...]
    worths: tuple[Worth, ...]

    @classmethod
    def of(
        cls, source: str, rows: pd.DataFrame, worths: Sequence[Worth] = (), seed: int = 0
    ) -> Audit:
        """Compare each protocol's rows with the truth."""
        parts = (part for _, part in rows.groupby("protocol", sort=False)) if len(rows) else ()
        return cls(source, rows, tuple(agreement(part, seed) for part in parts), tuple(worths))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "source": self.source,
            "protocols": [asdict(item) for item in self.agreements],
            "choices": [asdict(item) for item in self.worths],
        }


def write_audit(audit: Audit, folder: Path) -> Path:
    """Write `audit.html`, `.json`, `.csv` with every row and `.png`; gives the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = folder / "audit.png"
    if len(audit.rows):
        write_figure(audit.rows, figure)
        with replacing(folder / "audit.csv") as draft:
            audit.rows.to_csv(draft, index=False)
    write_json(folder / "audit.json", audit.to_dict())
    page = folder / "audit.html"
    picture = figure if len(audit.rows) else None
    write_text(page, render(audit.source, audit.agreements, audit.worths, picture))
    return page
