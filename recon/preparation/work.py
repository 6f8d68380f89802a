"""Rows of photographs that are done: a file a chunk, there whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import FacebenchError
from ..files.parquet import read_table
from ..files.replace import replacing
from ..files.text import plan_in
from .listing import Photograph
from .rows import WORK_SCHEMA, LabelledCrop, WorkRow

CHUNK = 24
"""Photographs that are read, labelled and written together."""

PART, ROW = "part", "row"
"""Columns of the index that say where a row is: a file's name and the place in it."""

_BULKY = ("image", "landmarks", "mask")


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
    stamps = dict.fromkeys(f"{row.source} {row.stamp}" for row in rows)
    key = hashlib.sha256("\n".join(stamps).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    buffer = io.BytesIO()
    table = pa.Table.from_pylist([row.columns() for row in rows], schema=WORK_SCHEMA)
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    faces = sum(isinstance(row.fate, LabelledCrop) for row in rows)
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
        note = self.folder / "plan.json"
        if not note.exists():
            with replacing(note) as draft:
                draft.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
            return
        theirs = plan_in(note)
        for key in sorted(plan.keys() | theirs.keys()):
            if theirs.get(key) != plan.get(key):
                raise FacebenchError(
                    f"{self.folder.parent} was begun with {key} {theirs.get(key)}, "
                    f"not {plan.get(key)}",
                    "give another --out, or remove that folder",
                )

    def write(self, part: Part) -> None:
        """Keep the rows of a chunk."""
        with replacing(self.folder / part.name) as draft:
            draft.write_bytes(part.content)

    def index(self, photographs: Iterable[Photograph]) -> list[dict[str, Any]]:
        """Everything but the pictures of the rows that belong to photographs as they are now.

        In the order of the photographs; with the columns `PART` and `ROW` for `read`.
        """
        stamps = {item.source: item.stamp for item in photographs}
        places = {source: place for place, source in enumerate(stamps)}
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


def undone(
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
