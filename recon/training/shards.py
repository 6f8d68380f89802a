"""Training shards: a folder of Parquet files with photographs, landmarks and masks.

Rows are read by number, in row groups of which only the newest are kept.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from ...errors import FacebenchError, error_line
from ..files.mirror import fetch
from ..files.pictures import read_picture
from ..files.tables import open_parquet, parquet_error
from ..morphable.model import MorphableModel
from ..preparation.rows import DROPPED
from ..synthetic.appearance import CLASS, MASK_ORDER

POOL = 8192
"""Rows that are shuffled among each other, about 200 MB of pictures of 224 px."""

COLUMNS = ("id", "subject", "image", "landmarks", "mask")

_AGAIN = "make the shards again"


@dataclass(frozen=True)
class Sample:
    """One photograph with its weak labels, as stored.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        landmarks: (68, 2) float32, px of the image, integers at pixel centres; NaN where unknown.
        mask: (S, S) uint8, face-parsing class of each pixel in BiSeNet order; skin everywhere
            where the photograph was not parsed, so that all the model's face covers counts alike.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    mask: NDArray[np.uint8]


class FaceShards:
    """All rows of a folder of shards, read in pieces as they are asked for.

    A piece is a row group of a Parquet file. The newest pieces are kept compressed in memory, up to
    twice the rows that are shuffled among each other (`batches.py`); pictures are decoded when
    asked for. The true coefficients of synthetic faces are never part of a `Sample`: weakly
    supervised training cannot see them. Validation asks for them, and what learns from random
    renders.

    Args:
        folder: holds `*.parquet`.
        limit: how many rows to use at most, None for all.

    Raises:
        FacebenchError: no shards, an unreadable shard, a missing column or another mask order.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        # On this machine, which may be another one than the command's.
        self.folder = fetch(folder, whole=True)
        paths = _shard_paths(folder)
        if not paths:
            raise FacebenchError(
                f"no training shards (*.parquet) in {folder}",
                "make them: 'facebench prepare PHOTOGRAPHS --out DIR', or 'facebench synth faces'",
            )
        # Every shard, not the first: a folder may be put together from several commands.
        schemas = {path: _checked_schema(path) for path in paths}
        self._models = {path: _metadata(s, "facebench.model_digest") for path, s in schemas.items()}
        self._pieces = RowGroups(paths, limit, 2 * POOL)
        if len(self) == 0:
            raise FacebenchError(f"the shards in {folder} hold no rows", "make them again")

    def __len__(self) -> int:
        return sum(self.groups)

    @property
    def groups(self) -> tuple[int, ...]:
        """Rows of each piece."""
        return self._pieces.sizes

    @property
    def model_digest(self) -> str:
        """Digest of the face model behind synthetic faces, or empty for photographs; of the first
        shard, where they are of several."""
        return next(iter(self._models.values()))

    def check_model(self, model: MorphableModel) -> None:
        """Refuse synthetic faces of another face model: their landmarks mean other vertices."""
        others = [digest for digest in self._models.values() if digest not in ("", model.digest)]
        if others:
            raise FacebenchError(
                f"the faces in {self.folder} were made with face model {others[0][:12]}, "
                f"but '{model.name}' is {model.digest[:12]}",
                "give --model the one they were made with",
            )

    @property
    def subjects(self) -> list[str]:
        """Subject of each row. In shards of several face models the model's digest is a part of the
        name: the first person of each has the same one, and is somebody else."""
        names = [str(subject) for subject in self._pieces.column("subject")]
        if len(set(self._models.values())) == 1:
            return names
        files = [file for file, rows in self._pieces.sources for _ in range(rows)]
        return [f"{self._models[file]}/{name}" for file, name in zip(files, names, strict=True)]

    def ids_digest(self) -> str:
        """Digest of the ids of all rows in their order: which photographs these are."""
        return hashlib.sha256("\n".join(map(str, self._pieces.column("id"))).encode()).hexdigest()

    def sample(self, row: int) -> Sample:
        """Decode one row.

        Raises:
            FacebenchError: the row's picture, mask or landmarks cannot be read.
        """
        where = f"row {row} of {self.folder}"
        try:
            cells = self._pieces.row(row)
            where = f"row {row} ({cells['id']}) of {self.folder}"
            image = np.asarray(_decode(cells["image"], "RGB"))
            mask = _decode_mask(cells["mask"], image)
            landmarks = np.asarray(cells["landmarks"], dtype=np.float32)
            sample = Sample(image, landmarks.reshape(68, 2), mask)
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise FacebenchError(f"{where} cannot be read: {error_line(error)}") from error
        return sample

    def coefficients(self, rows: Sequence[int]) -> NDArray[np.float32] | None:
        """True coefficients (len(rows), total) for validation; None where the shards have none."""
        # None, not an error: photographs have no true coefficients, and validation asks both.
        values = [self._pieces.row(row).get("coefficients") for row in rows]
        if any(value is None for value in values):
            return None
        try:
            return np.asarray(values, dtype=np.float32)
        except (ValueError, TypeError) as error:
            raise FacebenchError(f"{self.folder}: coefficients are no numbers", _AGAIN) from error

    def all_coefficients(self) -> NDArray[np.float32] | None:
        """True coefficients (rows, total) of every row; None where the shards have none."""
        values = self._pieces.column("coefficients")
        return None if None in values else np.asarray(values, dtype=np.float32)


def rows_without_mask(folder: Path) -> int:
    """How many rows of a folder of shards have no mask; reads no rows."""
    return sum(_missing_masks(path) for path in _shard_paths(folder))


def _shard_paths(folder: Path) -> list[Path]:
    # Sorted: a file system's own order would give another training on another machine.
    paths = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
    return [path for path in paths if path.name != DROPPED]


def _missing_masks(path: Path) -> int:
    groups = open_parquet(path).metadata
    column = groups.schema.names.index("mask")
    found = [groups.row_group(i).column(column).statistics for i in range(groups.num_row_groups)]
    return sum(facts.null_count for facts in found if facts is not None and facts.has_null_count)


def _checked_schema(path: Path) -> Any:
    try:
        schema = open_parquet(path).schema_arrow
    except FacebenchError as error:
        raise FacebenchError(f"shard {error.message}", error.hint) from error
    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        raise FacebenchError(
            f"shard {path} has no column {', '.join(missing)}", f"expected {', '.join(COLUMNS)}"
        )
    order = _metadata(schema, "facebench.mask_order")
    if order not in ("", MASK_ORDER):
        raise FacebenchError(f"shard {path}: masks are in {order} order", f"expected {MASK_ORDER}")
    return schema


def _metadata(schema: Any, key: str) -> str:
    """A text kept with the schema, plain or as a JSON string; empty where there is none."""
    value: bytes = (schema.metadata or {}).get(key.encode(), b"")
    return value.decode(errors="replace").strip('"')


def _decode(cell: bytes, mode: str) -> Image.Image:
    if not isinstance(cell, bytes):
        raise TypeError("not the bytes of a picture")
    return read_picture(cell, mode)


def _decode_mask(cell: bytes | None, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if cell is None:
        # All skin, as `Sample` says: the rendered face then decides alone which pixels count.
        return np.full(image.shape[:2], CLASS["skin"], dtype=np.uint8)
    return np.asarray(_decode(cell, "L"))


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
        # The limit may end inside a group; those behind it get nothing or less.
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
        # Right, so that a group's own first row is its own and not the one's before.
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
        # Held while reading, or two threads would read one group twice.
        with self._lock:
            if group in self._kept:
                self._kept.move_to_end(group)
                return self._kept[group]
            path, index = self._groups[group]
            self._kept[group] = table = _read(path, index)
            # Not counting the newest: a group larger than the limit must still be kept while in
            # use.
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
