"""Files that are either the old ones or the new ones, and Parquet files as data frames."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from ..recon.files.tables import parquet_error, read_table
from ..recon.files.writing import atomic_write

__all__ = ["finite", "atomic_write", "write_json", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Write text in one step."""
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one step; NaN and infinity, which JSON lacks, become null."""
    text = json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def finite(value: Any) -> Any:
    """The same nested lists and dicts with None for every float that is not finite."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_frame(path: Path) -> pd.DataFrame:
    """All rows of a file as a data frame with numbered rows.

    Raises:
        FacebenchError: as `read_table`.
    """
    table = read_table(path).replace_schema_metadata(None)
    try:
        frame: pd.DataFrame = table.to_pandas()
    except Exception as error:  # texts that are none, among others
        raise parquet_error(path, error) from error
    return frame
