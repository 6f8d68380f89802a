"""The finished folder: training shards, what was dropped, and the summary."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..files.replace import replacing
from ..files.text import json_of
from ..training.data.shards import DROPPED
from .rows import DROPPED_SCHEMA, faces_schema

FACES_PER_SHARD = 2000
_AT_ONCE = 200

Row = Mapping[str, Any]


class PreparedFolder:
    """What `facebench prepare` leaves: `faces-*.parquet`, `dropped.parquet`, `summary.json`.

    The summary is written last and taken away first: where it is, the rest belongs to it.

    Args:
        folder: also holds the work.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summary_file = folder / "summary.json"

    def summary(self) -> dict[str, Any] | None:
        """The summary of a finished preparation, or None."""
        try:
            summary = json_of(self.summary_file)
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
        self.summary_file.unlink(missing_ok=True)
        drafts = self.folder / ".assembling"
        shutil.rmtree(drafts, ignore_errors=True)
        drafts.mkdir(parents=True)
        shards = list(_write_shards(drafts, faces, count, image_size))
        for old in self.folder.glob("faces-*.parquet"):
            old.unlink()
        for shard in shards:
            shard.replace(self.folder / shard.name)
        drafts.rmdir()
        with replacing(self.folder / DROPPED) as draft:
            pq.write_table(_table(dropped, DROPPED_SCHEMA), draft)
        with replacing(self.summary_file) as draft:
            text = json.dumps({**summary, "shards": [path.name for path in shards]}, indent=1)
            draft.write_text(text + "\n", encoding="utf-8")


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
        path = folder / f"faces-{number:05d}-of-{shards:05d}.parquet"
        with pq.ParquetWriter(path, schema) as writer:
            of_shard = islice(faces, FACES_PER_SHARD)
            for rows in iter(_batches(of_shard), []):
                writer.write_table(_table(rows, schema))
        yield path


def _batches(rows: Iterator[Row]) -> Callable[[], list[Row]]:
    return lambda: list(islice(rows, _AT_ONCE))


def _table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    known = [{name: row.get(name) for name in schema.names} for row in rows]
    return pa.Table.from_pylist(known, schema=schema)
