"""The table of a run's subjects: one row per subject and scene, every column checked."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import FacebenchError
from ..files import atomic_write, read_frame
from .record import SCORED

LISTS = ("curve", "scan_values_mm", "scans")
"""Columns that hold several values."""

TEXTS = (
    *("subject", "scene", "status", "reason", "note", "scan", "start"),
    *("name", "group", "fingerprint"),
)
NUMBERS = ("frames", "faces", "scale", "overlap", "iterations", "size_error", "n_points")
"""Of the other columns, besides those in mm."""


def check_columns(table: pd.DataFrame, path: Path) -> None:
    """Refuse columns of another kind than they are written with.

    Raises:
        FacebenchError: a column that is known by its name holds something else.
    """
    wrong = [str(name) for name in table if not _is_right(str(name), table[name])]
    if wrong:
        raise FacebenchError(f"{path}: column {wrong[0]} is damaged", "remove it and measure again")


def _is_right(name: str, column: pd.Series) -> bool:
    present = column.dropna()
    if name in TEXTS:
        return bool(present.map(lambda value: isinstance(value, str)).all())
    if name in LISTS:
        return all(isinstance(value, np.ndarray) and value.ndim == 1 for value in present)
    if name in NUMBERS or name.endswith("_mm"):
        return bool(present.empty or pd.api.types.is_numeric_dtype(present))
    return True


class SubjectsTable:
    """A Parquet file that is replaced in one step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> pd.DataFrame:
        """All rows; an empty table before the first score."""
        if not self.path.is_file():
            return pd.DataFrame()
        table = read_frame(self.path)
        check_columns(table, self.path)
        return table

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep rows, sorted by subject and scene.

        Every row has `subject`, `scene`, `status` (`ok` or `failed`), `reason`, `note`, `frames`,
        `faces` and, when scored, the columns of `Score.to_row()`, the list `curve` of
        `ScoredPair.curve`, `scan` (whose number it is), `scans` and `scan_values_mm` (each scan
        that was measured, and its number); `mean_face_mm` is the mean face's error of the same
        subject where it was needed, else NaN.
        """
        table = pd.DataFrame(list(rows)).sort_values(["subject", "scene"], ignore_index=True)
        with atomic_write(self.path) as draft:
            table.to_parquet(draft, index=False)

    def whole_subjects(self, n_scenes: int, fixed_scale: float | None) -> list[dict[str, Any]]:
        """Rows of subjects whose every scene has a score, given the same fixed scale factor."""
        table = self.read()
        if table.empty:
            return []
        scored = table[(table["status"] == SCORED) & _has_scale(table, fixed_scale)]
        counts = scored.groupby("subject").size()
        rows = table[table["subject"].isin(counts[counts == n_scenes].index)].to_dict("records")
        return [{**row, **{name: list(row[name]) for name in LISTS}} for row in rows]


class GrowingTable:
    """Keeps a table while rows come, as often as that costs little.

    A table is written whole, so writing it for each of many subjects would cost the square of
    their number. It is written when `SHARE` of the time since the last writing is more than that
    took, and when the block ends, whatever ends it: what a kill costs is measured again.

    Args:
        table: where.
        rows: that it has already.
    """

    SHARE = 0.05

    def __init__(self, table: SubjectsTable, rows: Sequence[dict[str, Any]] = ()) -> None:
        self.rows = list(rows)
        self._table = table
        self._unwritten = False
        self._ended, self._took = -math.inf, 0.0

    def __enter__(self) -> GrowingTable:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._unwritten:
            self._write()

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take a subject's rows."""
        self.rows += rows
        self._unwritten = True
        if self._took <= self.SHARE * (time.monotonic() - self._ended):
            self._write()

    def _write(self) -> None:
        began = time.monotonic()
        self._table.write(self.rows)
        self._ended, self._unwritten = time.monotonic(), False
        self._took = self._ended - began


def _has_scale(table: pd.DataFrame, fixed_scale: float | None) -> pd.Series:
    return (
        table["fixed_scale"].isna() if fixed_scale is None else table["fixed_scale"].eq(fixed_scale)
    )
