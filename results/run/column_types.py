"""What the columns of score tables hold, so that a damaged table is told instead of counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import FacebenchError

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
