"""Many rows of a ledger in one file each: a hundred thousand small files are slow to read again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from ..files import replacing
from .ledger_rows import read_rows, write_rows

Place = tuple[Path, int, int]
"""A pack, and where in it a clip's rows begin and end."""


class Packs:
    """A folder of Parquet files of many rows, `00000.parquet` and on; each is written once.

    Some may be gone or damaged: their rows are then not there, those of the others are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, list[Place]] | None = None
        self._whole = lru_cache(maxsize=2)(read_rows)

    def add(self, table: pa.Table) -> None:
        """Keep rows in a new file, sorted by clip and chunk."""
        ordered = table.sort_by([("clip", "ascending"), ("chunk", "ascending")])
        with replacing(self._next()) as draft:
            write_rows(ordered, draft)
        self._places = None

    def columns(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of every file."""
        return (read_rows(path, names) for path in self.files())

    def keys(self) -> set[tuple[str, int]]:
        """Clip and chunk of every row."""
        tables = self.columns(["clip", "chunk"])
        return {key for table in tables for key in _pairs(table)}

    def clip(self, clip: str) -> list[pa.Table]:
        """A clip's rows, a table for each file that has some."""
        if self._places is None:
            self._places = self._index()
        places = self._places.get(clip, ())
        return [self._whole(path).slice(start, end - start) for path, start, end in places]

    def _index(self) -> dict[str, list[Place]]:
        found: dict[str, list[Place]] = defaultdict(list)
        files = self.files()
        for path, table in zip(files, self.columns(["clip"]), strict=True):
            for clip, start, end in _runs(table["clip"].to_pylist()):
                found[clip].append((path, start, end))
        return dict(found)

    def files(self) -> list[Path]:
        """The packs, in the order they were written."""
        return sorted(path for path in self.folder.glob("*.parquet") if path.stem.isdecimal())

    def _next(self) -> Path:
        last = max((int(path.stem) for path in self.files()), default=-1)
        return self.folder / f"{last + 1:05d}.parquet"


def _pairs(table: pa.Table) -> Iterable[tuple[str, int]]:
    return zip(table["clip"].to_pylist(), table["chunk"].to_pylist(), strict=True)


def _runs(values: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Each run of equal values, with where it begins and ends."""
    start = 0
    for place in range(1, len(values) + 1):
        if place == len(values) or values[place] != values[start]:
            yield values[start], start, place
            start = place
