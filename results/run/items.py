"""The table of a run's items: one row per measured item, its schema the fields of `Result`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
import pyarrow as pa

from ...bench.scoring.result import SCORED, UNSCORED, Result
from ...errors import FacebenchError
from ...recon.files.tables import open_parquet, read_table, write_table
from ..files import atomic_write
from .record import VERSION, refuse_newer

OVERALL = "all"
"""Scene of all items together, in the tables of datasets that ask for it."""

_VERSION_KEY = b"facebench.version"
_KINDS = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    tuple[str, ...]: pa.list_(pa.string()),
    tuple[float, ...]: pa.list_(pa.float64()),
}
_AGAIN = "remove it and measure again"


@cache
def schema() -> pa.Schema:
    """The columns of a table of items, in the order of the fields of `Result`."""
    kinds = get_type_hints(Result)
    columns = [(item.name, _KINDS[kinds[item.name]]) for item in fields(Result)]
    return pa.schema(columns, {_VERSION_KEY: str(VERSION).encode()})


class ItemsTable:
    """A Parquet file of results that is replaced in one step.

    Args:
        path: of the file.
        old: where version 1 kept the same rows; read, and never written.
    """

    def __init__(self, path: Path, old: Path | None = None) -> None:
        self.path = path
        self._old = old

    @property
    def is_old(self) -> bool:
        """Whether only version 1 has written it."""
        return not self.path.is_file() and self._old is not None and self._old.is_file()

    def read(self) -> pd.DataFrame:
        """All rows as a data frame; an empty one, with all columns, before the first result.

        Raises:
            FacebenchError: the file is damaged in any column, or of a newer version.
        """
        table = self._table()
        frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
        return frame

    def results(self) -> list[Result]:
        """All rows as they were measured.

        Raises:
            FacebenchError: as `read`.
        """
        lists = [item.name for item in schema() if pa.types.is_list(item.type)]
        rows = self._table().to_pylist()
        return [Result(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in rows]

    def write(self, results: Iterable[Result]) -> None:
        """Keep results, sorted by subject, scene and item."""
        # Workers end in any order; the file's bytes must not depend on it.
        ordered = sorted(results, key=lambda one: (one.subject, one.scene, one.item))
        table = pa.Table.from_pylist([vars(one) for one in ordered], schema=schema())
        with atomic_write(self.path) as draft:
            write_table(table, draft, write_page_checksum=True)

    def _table(self) -> Any:
        if self.path.is_file():
            return _read_checked(self.path)
        if self._old is not None and self.is_old:
            return _migrate(self._old)
        return schema().empty_table()


def _read_checked(path: Path) -> Any:
    """A table of this version, each of whose columns is of its kind and complete."""
    metadata = open_parquet(path).schema_arrow.metadata or {}
    version = metadata.get(_VERSION_KEY, b"")
    # Before the columns: of a newer version they may rightly be others.
    refuse_newer(int(version) if version.isdigit() else None, "", path)
    table = read_table(path)
    wanted = schema()
    found = {item.name: item.type for item in table.schema}
    for item in wanted:
        if found.get(item.name) != item.type:
            raise FacebenchError(
                f"{path}: column {item.name} is missing or of another kind", _AGAIN
            )
        # A missing number is NaN, never null: a null is damage.
        if table[item.name].null_count:
            raise FacebenchError(f"{path}: column {item.name} is damaged", _AGAIN)
    return _readable(table.select(wanted.names), path)


def _migrate(path: Path) -> Any:
    """The rows of version 1, what it did not know by the defaults of `Result`."""
    table = read_table(path)
    defaults = {item.name: item.default for item in fields(Result)}
    columns = [_column(table, item, defaults[item.name], path) for item in schema()]
    return _readable(pa.Table.from_arrays(columns, schema=schema()), path)


def _column(table: Any, wanted: pa.Field, default: object, path: Path) -> Any:
    if wanted.name == "item":
        if not {"subject", "scene"} <= set(table.column_names):
            raise FacebenchError(f"{path}: no column subject and scene", _AGAIN)
        names = (_texts(table, name, path) for name in ("subject", "scene"))
        return pa.array([f"{subject}/{scene}" for subject, scene in zip(*names, strict=True)])
    if wanted.name not in table.column_names:
        return pa.array([default] * len(table), wanted.type)
    try:
        column = table[wanted.name].cast(wanted.type).combine_chunks()
    except pa.ArrowException as error:
        raise FacebenchError(f"{path}: column {wanted.name} is damaged", _AGAIN) from error
    # Version 1 kept nothing, not an empty list, where nothing was measured.
    empty = [] if pa.types.is_list(wanted.type) else default
    values = column.to_pylist()
    return pa.array([empty if value is None else value for value in values], wanted.type)


def _texts(table: Any, name: str, path: Path) -> list[str]:
    values: list[str] = table[name].to_pylist()
    if not all(isinstance(value, str) for value in values):
        raise FacebenchError(f"{path}: column {name} is damaged", _AGAIN)
    return values


def _readable(table: Any, path: Path) -> Any:
    """The same table, when its texts are texts and every status is known."""
    try:
        # Parquet's checksums do not cover what a wrong writer wrote: texts may be no UTF-8.
        table.validate(full=True)
        known = set(table["status"].to_pylist()) <= {SCORED, UNSCORED}
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise FacebenchError(f"{path} is damaged ({error})", _AGAIN) from error
    if not known:
        raise FacebenchError(f"{path}: column status is damaged", _AGAIN)
    return table


def of_scene(items: pd.DataFrame, scene: str) -> pd.DataFrame:
    """The rows of a scene; all rows for `OVERALL`, unless a scene is called so."""
    # A set without scenes calls its only one `all`, too.
    mine = items["scene"] == scene
    return items if scene == OVERALL and not mine.any() else items[mine]


def item_names(items: pd.DataFrame) -> pd.Series:
    """What to call each row in its scene: its subject where that is enough, else its id.

    NoW has several photographs of a subject in a scene, MICC one clip.
    """
    plain = items["item"] == items["subject"] + "/" + items["scene"]
    names: pd.Series = items["subject"].where(plain, items["item"]).astype(str)
    return names


class GrowingTable:
    """Keeps a table while results come, as often as that costs little.

    A table is written whole, so writing it for each of many subjects would cost the square of
    their number. It is written when `SHARE` of the time since the last writing is more than that
    took, and when the block ends, whatever ends it: what a kill costs is measured again.

    Args:
        table: where.
        results: that it has already.
    """

    SHARE = 0.05

    def __init__(self, table: ItemsTable, results: Sequence[Result] = ()) -> None:
        self._known = {result.item: result for result in results}
        self._table = table
        self._unwritten = False
        self._ended, self._took = -math.inf, 0.0

    @property
    def results(self) -> list[Result]:
        """All that it has."""
        return list(self._known.values())

    def __enter__(self) -> GrowingTable:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._unwritten:
            self._write()

    def add(self, results: Sequence[Result]) -> None:
        """Take a subject's results, in the place of earlier ones of the same items."""
        self._known |= {result.item: result for result in results}
        self._unwritten = True
        if self._took <= self.SHARE * (time.monotonic() - self._ended):
            self._write()

    def _write(self) -> None:
        began = time.monotonic()
        self._table.write(self.results)
        self._ended, self._unwritten = time.monotonic(), False
        self._took = self._ended - began
