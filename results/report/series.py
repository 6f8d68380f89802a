"""The runs of a report as its parts see them: read once, each with a letter and a colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ..run.folder import RunFolder, RunRecord
from ..run.items import schema
from ..run.summary import SceneSummary
from ..tables.scenes import refuse_mixture, unique_labels
from ..tables.subject_errors import CURVE_COLUMNS, cumulative_curves

N_COLOURS = 6
"""Colours of the style sheet, `--series-0` onwards; more runs share them."""

DASHES = ("none", "7 4", "2 3", "10 3 2 3", "4 2", "1 4")
"""Of the lines in charts, so that they can be told apart in grey."""


@dataclass(frozen=True, eq=False)
class Series:
    """One run of a report.

    Attributes:
        run: its folder.
        record: `run.json`.
        label: unique in the report.
        number: 0 for the run the report is about.
        summary: scene to summary.
        subjects: the table of scores, without its lists.
        curves: scene to mean cumulative curve, see `cumulative_curves`.
    """

    run: RunFolder
    record: RunRecord
    label: str
    number: int
    summary: dict[str, SceneSummary]
    subjects: pd.DataFrame
    curves: dict[str, NDArray[np.float64]]

    @property
    def colour(self) -> str:
        """CSS colour."""
        return f"var(--series-{self.number % N_COLOURS})"

    @property
    def dashes(self) -> str:
        """Lengths of strokes and gaps."""
        return DASHES[self.number % len(DASHES)]

    @property
    def letter(self) -> str:
        """A, B, … in charts; the number where there are more runs than letters."""
        return chr(ord("A") + self.number) if self.number < 26 else str(self.number)


def read_series(runs: Sequence[RunFolder]) -> tuple[Series, ...]:
    """Read runs; equal labels get their folder's name added.

    Raises:
        FacebenchError: runs of different protocols or datasets.
    """
    records = [run.record() for run in runs]
    refuse_mixture(records)
    # Two runs of one method would share a label, and every legend with it.
    unique = unique_labels(runs, records)
    # Of the lists only the curves' means are shown: they take most of a table's memory.
    plain = [item.name for item in schema() if not pa.types.is_list(item.type)]
    return tuple(
        Series(
            *(run, record, label, number, run.summary(), run.items(plain)),
            curves=cumulative_curves(run.items(CURVE_COLUMNS)),
        )
        for number, (run, record, label) in enumerate(zip(runs, records, unique, strict=True))
    )
