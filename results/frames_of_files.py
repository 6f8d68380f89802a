"""Parquet files as data frames."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..recon.files.parquet import read_table, unreadable


def read_frame(path: Path) -> pd.DataFrame:
    """All rows of a file as a data frame with numbered rows.

    Raises:
        FacebenchError: as `read_table`.
    """
    table = read_table(path).replace_schema_metadata(None)
    try:
        frame: pd.DataFrame = table.to_pandas()
    except Exception as error:  # texts that are none, among others
        raise unreadable(path, error) from error
    return frame
