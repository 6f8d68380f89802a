"""A run's items: a row each, its schema the fields of `Result`, and the distances behind them.

The single distances are kept so that all can be drawn and tested again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...bench.dataset.interface import OVERALL
from ...bench.scoring.result import SCORED, UNSCORED, Result
from ...errors import FacebenchError
from ...recon.files.tables import open_parquet, parquet_error, read_parts, read_table, write_table
from ...recon.files.writing import atomic_write
from ...recon.mesh import Mesh
from .record import VERSION, refuse_newer

if TYPE_CHECKING:
    from ...bench.scoring.reduce import PointDistances

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
_ORDER = ("subject", "scene", "item")
ROWS = 4096
"""Rows of a row group, and of what is turned into columns at once: as Python's numbers a row takes
four times the room, gigabytes for a hundred thousand subjects."""

SIDES = ("scan_to_prediction", "prediction_to_scan")


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

    def read(self, columns: Sequence[str] = ()) -> pd.DataFrame:
        """All rows as a data frame; an empty one before the first result.

        Args:
            columns: which; all by default, among them a curve of 0.8 kB a row.

        Raises:
            FacebenchError: the file is damaged in a column that is read, or of a newer version.
        """
        table = self.table(columns).replace_schema_metadata(None)
        # Each column is let go once it is converted: there is never the whole twice.
        frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
        # Arrow keeps what it no longer needs: 0.1 GB of a hundred thousand subjects.
        pa.default_memory_pool().release_unused()
        return frame

    def results(self) -> list[Result]:
        """All rows as they were measured.

        Raises:
            FacebenchError: as `read`.
        """
        return results_of(self.table())

    def table(self, columns: Sequence[str] = ()) -> Any:
        """All rows as a `pyarrow.Table`, with these columns or all.

        Raises:
            FacebenchError: as `read`, of what is read.
        """
        if self.path.is_file():
            return pa.concat_tables(_checked_parts(self.path, columns))
        table = schema().empty_table()
        if self._old is not None and self.is_old:
            table = _migrate(self._old)
        return table.select(columns) if columns else table

    def parts(self, columns: Sequence[str]) -> Iterator[Any]:
        """The same, some ten thousand rows at a time: of long lists all would be too much.

        Raises:
            FacebenchError: as `read`, of what is read.
        """
        if self.path.is_file():
            return _checked_parts(self.path, columns)
        return iter([self.table(columns)])

    def write(self, results: Iterable[Result]) -> None:
        """Keep results, sorted by subject, scene and item."""
        rest, parts = iter(results), list[Any]()
        while some := list(islice(rest, ROWS)):
            parts.append(table_of_results(some))
        self.write_parts(parts, np.arange(sum(map(len, parts))))

    def write_parts(self, parts: Sequence[Any], rows: NDArray[np.int64]) -> None:
        """Keep those rows of some tables, by their number over all, sorted as `write` does."""
        # Workers end in any order; the file's bytes must not depend on it.
        keys = [part.select(_ORDER) for part in parts]
        ends = np.cumsum([len(part) for part in keys], dtype=np.int64)
        keys = pa.concat_tables([schema().empty_table().select(_ORDER), *keys])
        order = pc.sort_indices(keys, [(name, "ascending") for name in _ORDER]).to_numpy()
        order = order[np.isin(order, rows)].astype(np.int64)
        with (
            atomic_write(self.path) as draft,
            draft.open("wb") as file,
            pq.ParquetWriter(file, schema(), write_page_checksum=True) as writer,
        ):
            for start in range(0, max(1, len(order)), ROWS):
                writer.write_table(take_rows(parts, ends, order[start : start + ROWS]))


def table_of_results(results: Iterable[Result]) -> Any:
    """A `pyarrow.Table` of the file's columns."""
    return pa.Table.from_pylist([vars(one) for one in results], schema=schema())


def results_of(table: Any) -> list[Result]:
    """The rows of such a table."""
    lists = [item.name for item in schema() if pa.types.is_list(item.type)]
    rows = table.to_pylist()
    return [Result(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in rows]


def take_rows(parts: Sequence[Any], ends: NDArray[np.int64], rows: NDArray[np.int64]) -> Any:
    """Rows of tables by their number over all, in the order asked for.

    Args:
        parts: the tables; those alone are looked at of which there are rows.
        ends: (P,) after how many rows over all each ends.
        rows: (R,) which.
    """
    which = np.searchsorted(ends, rows, side="right")
    starts = np.concatenate([[0], ends])
    found = [
        parts[part].take(rows[which == part] - starts[part]) for part in np.unique(which).tolist()
    ]
    # They came part by part; each back to its place.
    places = np.argsort(np.argsort(which, kind="stable"), kind="stable")
    return pa.concat_tables([schema().empty_table(), *found]).combine_chunks().take(places)


def _checked_parts(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Columns of a table of this version, or all, each of its kind and complete."""
    metadata = open_parquet(path).schema_arrow.metadata or {}
    version = metadata.get(_VERSION_KEY, b"")
    # Before the columns: of a newer version they may rightly be others.
    refuse_newer(int(version) if version.isdigit() else None, "", path)
    wanted = [item for item in schema() if item.name in columns or not columns]
    there = open_parquet(path).schema_arrow.names
    for part in read_parts(path, [item.name for item in wanted if item.name in there]):
        yield _checked(part, wanted, path)


def _checked(table: Any, wanted: Sequence[pa.Field], path: Path) -> Any:
    found = {item.name: item.type for item in table.schema}
    for item in wanted:
        if found.get(item.name) != item.type:
            raise FacebenchError(
                f"{path}: column {item.name} is missing or of another kind", _AGAIN
            )
        # A missing number is NaN, never null: a null is damage.
        if table[item.name].null_count:
            raise FacebenchError(f"{path}: column {item.name} is damaged", _AGAIN)
    return _readable(table.select([item.name for item in wanted]), path)


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
        known = "status" not in table.column_names or {SCORED, UNSCORED}.issuperset(
            table["status"].unique().to_pylist()
        )
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


def item_names(items: pd.DataFrame, scene: str | None = None) -> pd.Series:
    """What to call each row in a scene: its subject where that is enough, else its id.

    NoW has several photographs of a subject in a scene, MICC one clip.

    Args:
        items: rows of a table.
        scene: that all of them are shown in; None is each row's own.
    """
    # In `OVERALL` a name would stand for the rows of all its scenes, and hide all but one.
    own = items["subject"] + "/" + (items["scene"] if scene is None else scene)
    plain = items["item"] == own
    names: pd.Series = items["subject"].where(plain, items["item"]).astype(str)
    return names


def read_errors(path: Path) -> tuple[Mesh, NDArray[np.float64]]:
    """A kept mesh in mm and the error (V,) at its vertices, NaN where it has none."""
    # Here: who reads a run's numbers needs no meshes.
    import trimesh

    # Unprocessed: merging vertices would part them from their errors.
    loaded = trimesh.load(path, process=False, maintain_order=True)
    mesh = Mesh(np.asarray(loaded.vertices, np.float64), np.asarray(loaded.faces, np.int32))
    values = loaded.metadata["_ply_raw"]["vertex"]["data"]["error"]
    return mesh, np.asarray(values, np.float64).reshape(-1)


class PointErrors:
    """A folder of Parquet files `ITEM.parquet`, one per item.

    Columns: `error_mm` (float32) and `direction`, one of `SIDES`; a row a point in the overlap
    region. About 0.25 MB for 70,000 points.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, item: str, distances: PointDistances) -> None:
        """Keep the distances of an item."""
        # A float32 of a few mm is exact to a nanometre, in half of the space.
        errors = np.concatenate(distances).astype(np.float32)
        sides = np.repeat(np.arange(2, dtype=np.int8), [len(side) for side in distances])
        names = pa.DictionaryArray.from_arrays(pa.array(sides), pa.array(SIDES))
        table = pa.table({"direction": names, "error_mm": errors})
        with atomic_write(self._path(item)) as draft:
            write_table(
                table,
                draft,
                compression="zstd",
                # Two words for all rows; errors hardly repeat, a dictionary would only cost.
                use_dictionary=["direction"],
                # Exponents of errors are alike: bytes of one place side by side pack far better.
                use_byte_stream_split=["error_mm"],
            )

    def read(self, item: str) -> PointDistances:
        """The distances (N,), (M,) float32 of an item.

        Raises:
            FileNotFoundError: there are none.
            FacebenchError: they are damaged.
        """
        path = self._path(item)
        if not self.has(item):
            raise FileNotFoundError(path)
        table = read_table(path, ["direction", "error_mm"])
        try:
            errors = table["error_mm"].cast(pa.float32()).to_numpy()
            of_scan = pc.equal(table["direction"].cast(pa.string()), SIDES[0]).to_numpy()
            return errors[of_scan], errors[~of_scan]
        except (pa.ArrowException, ValueError, IndexError, TypeError) as error:
            raise parquet_error(path, error) from error

    def has(self, item: str) -> bool:
        """Whether an item's are there."""
        return self._path(item).is_file()

    def remove(self, item: str) -> None:
        """Forget what is no longer true."""
        self._path(item).unlink(missing_ok=True)

    def _path(self, item: str) -> Path:
        return self.folder / f"{item}.parquet"
