"""Rows of Parquet files by number, read in row groups of which only the newest are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ....errors import FacebenchError
from ...files.tables import open_parquet, parquet_error


class RowGroups:
    """The rows of some files one after another; several threads may ask.

    Args:
        paths: the files, all with the same columns.
        limit: how many rows there are at most, None for all.
        kept: rows kept in memory, beside the group that was asked for last.
    """

    def __init__(self, paths: Sequence[Path], limit: int | None, kept: int) -> None:
        groups = [(path, index, rows) for path in paths for index, rows in _groups(path)]
        sizes = np.array([rows for *_, rows in groups], dtype=np.int64)
        before = np.cumsum(sizes) - sizes
        most = int(sizes.sum()) if limit is None else limit
        used = np.minimum(sizes, most - before)
        self._groups = [group[:2] for group, rows in zip(groups, used, strict=True) if rows > 0]
        self.sizes: tuple[int, ...] = tuple(int(rows) for rows in used if rows > 0)
        self._starts = before[: len(self.sizes)]
        self._most = kept
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def sources(self) -> list[tuple[Path, int]]:
        """File and number of rows of each group."""
        paths = [path for path, _ in self._groups]
        return list(zip(paths, self.sizes, strict=True))

    def row(self, number: int) -> dict[str, Any]:
        """The cells of a row by column.

        Raises:
            FacebenchError: its group cannot be read.
        """
        group = int(np.searchsorted(self._starts, number, side="right")) - 1
        table = self._table(group)
        cells: dict[str, Any] = table.slice(number - int(self._starts[group]), 1).to_pylist()[0]
        return cells

    def column(self, name: str) -> list[Any]:
        """All values of a column, in the order of the rows; None where a file lacks it."""
        values: list[Any] = []
        for (path, index), rows in zip(self._groups, self.sizes, strict=True):
            table = _read(path, index, [name])
            found = table[name].to_pylist() if name in table.column_names else [None] * rows
            values += found[:rows]
        return values

    def _table(self, group: int) -> Any:
        with self._lock:
            if group in self._kept:
                self._kept.move_to_end(group)
                return self._kept[group]
            path, index = self._groups[group]
            self._kept[group] = table = _read(path, index)
            while sum(map(len, self._kept.values())) - len(table) > self._most:
                self._kept.popitem(last=False)
            return table


def _read(path: Path, index: int, columns: Sequence[str] | None = None) -> Any:
    """A row group, whose texts and pictures stay single values however often they stand in it."""
    try:
        file = open_parquet(path)
        texts = [item.name for item in file.schema_arrow if _is_text(item.type)]
        return open_parquet(path, read_dictionary=texts).read_row_group(index, columns)
    except FacebenchError:
        raise
    except Exception as error:  # the library raises as many kinds as there are fields
        raise parquet_error(path, error) from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_string(kind))


def _groups(path: Path) -> list[tuple[int, int]]:
    """Number and rows of each row group of a file."""
    metadata = open_parquet(path).metadata
    return [(i, metadata.row_group(i).num_rows) for i in range(metadata.num_row_groups)]
