"""The folder of a preparation: rows of the work that is done, finished shards and summary."""

from __future__ import annotations

import hashlib
import io
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import FacebenchError
from ..files.tables import read_table, write_table
from ..files.text import hold_to_plan, read_json, write_json
from ..files.writing import atomic_write
from .listing import Photograph
from .patch import Framed
from .rows import DROPPED, DROPPED_SCHEMA, WORK_SCHEMA, WorkRow, faces_schema

CHUNK = 24
"""Photographs that are read, labelled and written together."""

PART, ROW = "part", "row"
"""Columns of the index that say where a row is: a file's name and the place in it."""

_BULKY = ("image", "landmarks", "mask")

FACES_PER_SHARD = 2000
_AT_ONCE = 200

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """The rows of one chunk as a file.

    Attributes:
        name: of the file; follows from the photographs and their stamps.
        photographs: in it.
        faces: good enough, duplicates among them.
        content: Parquet, columns of `WORK_SCHEMA`.
    """

    name: str
    photographs: int
    faces: int
    content: bytes


def part_of(rows: Sequence[WorkRow]) -> Part:
    """The rows of a chunk, packed where they were made."""
    # By the stamps: when a photograph has changed its rows are another file's.
    stamps = dict.fromkeys(f"{row.source} {row.stamp}" for row in rows)
    # A file's name may hold bytes that are no UTF-8.
    key = hashlib.sha256("\n".join(stamps).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    buffer = io.BytesIO()
    # A changed bit may still unpack to a picture: the pages carry a checksum.
    table = pa.Table.from_pylist([row.columns() for row in rows], schema=WORK_SCHEMA)
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    faces = sum(isinstance(row.fate, Framed) for row in rows)
    return Part(f"{key}.parquet", len(stamps), faces, buffer.getvalue())


class WorkFolder:
    """The photographs that are done, under one plan.

    Args:
        folder: belongs to the work alone.

    A file holds the rows of one chunk. When a photograph or its label files change it is done
    again, and the older rows no longer count.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def claim(self, plan: Mapping[str, Any]) -> None:
        """Note what decides the rows, or check that it is the same.

        Raises:
            FacebenchError: the folder holds work under another plan.
        """
        hold_to_plan(self.folder / "plan.json", plan, self.folder.parent)

    def write(self, part: Part) -> None:
        """Keep the rows of a chunk."""
        with atomic_write(self.folder / part.name) as draft:
            draft.write_bytes(part.content)

    def index(self, photographs: Iterable[Photograph]) -> list[dict[str, Any]]:
        """Everything but the pictures of the rows that belong to photographs as they are now.

        In the order of the photographs; with the columns `PART` and `ROW` for `read`.
        """
        stamps = {item.source: item.stamp for item in photographs}
        places = {source: place for place, source in enumerate(stamps)}
        # Of a photograph done twice under one stamp the rows are alike: any one stands.
        current = {
            (row["source"], row["face"]): row
            for row in self._rows()
            if stamps.get(row["source"]) == row["stamp"]
        }
        return sorted(current.values(), key=lambda row: (places[row["source"]], row["face"]))

    def read(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows of an index with their pictures, in its order, one file at a time.

        Raises:
            FacebenchError: a file's pictures are damaged; its photographs count as not done then.
        """
        for part, together in groupby(rows, key=lambda row: str(row[PART])):
            places = [row[ROW] for row in together]
            yield from self._part(part).take(places).to_pylist()

    def _part(self, name: str) -> pa.Table:
        path = self.folder / name
        try:
            return read_table(path)
        except FacebenchError as error:
            with suppress(FileNotFoundError):
                # Under a name that no reader looks for; its photographs count as not done then.
                path.replace(path.with_name(f".{name}.damaged"))
            raise FacebenchError(
                f"{path} is damaged", "the same command prepares its photographs again"
            ) from error

    def _rows(self) -> Iterator[dict[str, Any]]:
        columns = [name for name in WORK_SCHEMA.names if name not in _BULKY]
        for path in sorted(self.folder.glob("*.parquet")):
            for place, row in enumerate(_whole_rows(path, columns)):
                yield row | {PART: path.name, ROW: place}


def _whole_rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a file; none of a damaged one, whose photographs are then done again."""
    wanted = pa.schema([WORK_SCHEMA.field(name) for name in columns])
    try:
        rows: list[dict[str, Any]] = read_table(path, columns).cast(wanted).to_pylist()
    except (FacebenchError, pa.ArrowException, ValueError):
        return []
    return rows


def remaining_photographs(
    photographs: Iterable[Photograph], index: Iterable[Mapping[str, Any]]
) -> list[Photograph]:
    """The photographs without a row, in their order."""
    done = {row["source"] for row in index}
    return [item for item in photographs if item.source not in done]


def chunks(photographs: Sequence[Photograph]) -> list[tuple[Photograph, ...]]:
    """Photographs of one folder or archive, in their order, at most `CHUNK` together.

    Chunks never reach over folders: what is left after some are done divides as before.
    """
    result: list[tuple[Photograph, ...]] = []
    for _, together in groupby(photographs, key=lambda item: PurePosixPath(item.source).parent):
        folder = tuple(together)
        result += [folder[first : first + CHUNK] for first in range(0, len(folder), CHUNK)]
    return result


class PreparedFolder:
    """What `facebench prepare` leaves: `faces-*.parquet`, `dropped.parquet`, `summary.json`.

    The summary is written last and taken away first: where it is, the rest belongs to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summary_file = folder / "summary.json"

    def summary(self) -> dict[str, Any] | None:
        """The summary of a finished preparation, or None."""
        try:
            summary = read_json(self.summary_file)
        except (OSError, ValueError):
            return None
        return summary if isinstance(summary, dict) else None

    def write(
        self,
        faces: Iterator[Row],
        count: int,
        dropped: Sequence[Row],
        summary: Mapping[str, Any],
        image_size: int,
    ) -> None:
        """Replace whatever was there.

        Args:
            faces: rows of the shards, one after the other.
            count: how many.
            dropped: rows of `dropped.parquet`.
            summary: what `summary.json` holds.
            image_size: side of the crops in px.
        """
        # First of all: without a summary nothing that follows counts as finished.
        self.summary_file.unlink(missing_ok=True)
        drafts = self.folder / ".assembling"
        shutil.rmtree(drafts, ignore_errors=True)
        drafts.mkdir(parents=True)
        # Beside the old ones, which stay until these are whole: a full disk costs nothing.
        shards = list(_write_shards(drafts, faces, count, image_size))
        for old in self.folder.glob("faces-*.parquet"):
            old.unlink()
        for shard in shards:
            shard.replace(self.folder / shard.name)
        drafts.rmdir()
        with atomic_write(self.folder / DROPPED) as draft:
            write_table(_table(dropped, DROPPED_SCHEMA), draft)
        write_json(self.summary_file, {**summary, "shards": [path.name for path in shards]})


def reason_counts(dropped: Iterable[Row]) -> dict[str, int]:
    """How many rows were left out for each reason, the most frequent first."""
    counts = Counter(str(row["reason"]) for row in dropped)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _write_shards(
    folder: Path, faces: Iterator[Row], count: int, image_size: int
) -> Iterator[Path]:
    schema = faces_schema(image_size)
    shards = math.ceil(count / FACES_PER_SHARD)
    for number in range(shards):
        # Each name says how many there are, so that a lost one is seen.
        path = folder / f"faces-{number:05d}-of-{shards:05d}.parquet"
        with path.open("wb") as file, pq.ParquetWriter(file, schema) as writer:
            of_shard = islice(faces, FACES_PER_SHARD)
            # In small batches: a shard's pictures are never held together.
            while rows := list(islice(of_shard, _AT_ONCE)):
                writer.write_table(_table(rows, schema))
        yield path


def _table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    # Rows of the work have more columns; those of archives that cannot be read have fewer.
    known = [{name: row.get(name) for name in schema.names} for row in rows]
    return pa.Table.from_pylist(known, schema=schema)
