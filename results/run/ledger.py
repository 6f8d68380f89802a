"""The ledger of a run: one row per chunk of frames done, and what resumption reads from it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...bench.method.clip_faces import FAILED, ChunkRow
from ...recon.face.tracks import DESCRIBED, WIDTH, Segments, longest_track
from ...recon.files.writing import atomic_write
from .ledger_files import (
    ARRAYS,
    PLAIN,
    SCHEMA,
    Packs,
    is_whole,
    read_rows,
    rows_of,
    table_of,
    write_rows,
)

__all__ = ["SCHEMA", "ClipProgress", "ClipSum", "Ledger"]

PACK_ROWS = 1024
"""Rows of small files that become one: real sets of a few hundred clips have some packs."""

TOGETHER = 32
"""Rows that come at once become a pack of their own from so many on."""

SMALL_BYTES = 64 * 1024
"""A larger file, which holds meshes or every face's vector, stays: one more is no burden."""

Standing = tuple[int, bool, str]
"""Of a row: its chunk, whether it is the clip's last, and its status."""


@dataclass(frozen=True, slots=True)
class ClipProgress:
    """How far a clip has come.

    Attributes:
        done: chunks that need no further work.
        finished: whether every chunk of the clip is there, none to be tried again.
    """

    done: frozenset[int] = frozenset()
    finished: bool = False


@dataclass(frozen=True, eq=False)
class ClipSum:
    """The rows of one clip added up in the order of its chunks.

    Attributes:
        finished: whether every chunk of the clip is there, none to be tried again.
        frames, failed: totals.
        faces: of the person, whose faces alone are added up.
        reasons: every distinct reason, in order.
        sum: (D,) float64, or empty without a face.
        vertices: (3 V,) float64, the sum of the faces' own meshes, or None.
        vectors: (N, D) float32 of the faces in the order of the frames, or None.
        others: of each other track of faces first and last frame and number of faces.
    """

    finished: bool
    frames: int
    faces: int
    failed: int
    reasons: tuple[str, ...]
    sum: NDArray[np.float64]
    vertices: NDArray[np.float64] | None = None
    vectors: NDArray[np.float32] | None = None
    others: tuple[tuple[int, int, int], ...] = ()


class Ledger:
    """A folder of Parquet files: a chunk's row is there whole or not at all, and only once.

    Each row comes into a file of its own, `FOLDER/SUBJECT/SCENE/CHUNK.parquet`, in one step. Every
    `pack_rows` of them, unless they are large or to be tried again, are put into one file of
    `FOLDER/packed` and their own removed. A row that is in both, for a command was killed in
    between, counts once, and `tidy` removes its own file.

    A file that is damaged, if only in one column, counts as not there, so that its chunks are done
    again; `tidy` sets it aside.

    `pandas.read_parquet(folder)` reads it as one table with the columns of `SCHEMA`, and those of
    `ledger_files.EXTRA` that the run's protocol needs.

    Args:
        folder: where.
        pack_rows: how many rows make a pack.
    """

    def __init__(self, folder: Path, pack_rows: int = PACK_ROWS) -> None:
        self.folder = folder
        self._pack_rows = pack_rows
        self._packs = Packs(folder / "packed")
        self._to_pack: dict[Path, None] = {}

    def write(self, row: ChunkRow, command: str = "", elapsed: float = 0.0) -> None:
        """Keep a row; a row of the same chunk is replaced.

        Args:
            row: what was done.
            command: when the command that did it began, which tells commands apart.
            elapsed: seconds since that command began to read frames.
        """
        path = self._path(row)
        with atomic_write(path) as draft:
            write_rows(table_of([row], command, elapsed), draft)
        # A failed row is written again by the next command, and packs are written once.
        if row.status != FAILED and _is_small(path):
            self._to_pack[path] = None
        if len(self._to_pack) >= self._pack_rows:
            self._pack()

    def write_all(self, rows: Sequence[ChunkRow], command: str = "", elapsed: float = 0.0) -> None:
        """Keep rows that came at once: many for the price of a few; see `write`."""
        plain = [row for row in rows if row.status != FAILED and _n_bytes(row) <= SMALL_BYTES]
        if len(plain) >= TOGETHER:
            self._packs.add(table_of(plain, command, elapsed))
            # Of an earlier command, which failed at the chunk.
            paths = [self._path(row) for row in plain]
            _remove([path for path in paths if path.exists()])
            for path in paths:
                self._to_pack.pop(path, None)
            packed = set(map(id, plain))
            rows = [row for row in rows if id(row) not in packed]
        for row in rows:
            self.write(row, command, elapsed)

    def _path(self, row: ChunkRow) -> Path:
        return self.folder / row.clip / f"{row.chunk:05d}.parquet"

    def tidy(self) -> tuple[Path, ...]:
        """Take over what an earlier command left: for the only writer, before its first row.

        Returns:
            The damaged files, which it has given a hidden name, so that no reader meets them.
        """
        # `progress` reads few columns, and would call a chunk done whose sum cannot be read.
        damaged = tuple(
            path for path in [*self._packs.files(), *self._loose()] if not is_whole(path)
        )
        for path in damaged:
            # Kept to be looked into, under a name that `*.parquet` does not match.
            path.replace(path.with_name(f".{path.name}.damaged"))
        loose = {
            path: (path.parent.relative_to(self.folder).as_posix(), int(path.stem))
            for path in self._loose()
        }
        # Of the few files, not of all packs: those of a million chunks are a million keys.
        packed = set(loose.values()).intersection(self._packs.keys() if loose else ())
        # A command was killed between packing and removing: the pack's row is the same.
        _remove([path for path, key in loose.items() if key in packed])
        rest = sorted(path for path, key in loose.items() if key not in packed)
        self._to_pack = dict.fromkeys(path for path in rest if _is_small(path))
        if len(self._to_pack) >= self._pack_rows:
            self._pack()
        return damaged

    def table(self) -> pd.DataFrame:
        """All rows without their arrays, sorted by clip and chunk."""
        frame: pd.DataFrame = self._distinct_rows(PLAIN).to_pandas()
        return frame

    def _distinct_rows(self, names: Sequence[str]) -> pa.Table:
        """Some columns, `clip` and `chunk` among them, of each row, sorted by clip and chunk."""
        table = self._sorted(names)
        # A row may be in its file and in a pack at once, while it is packed.
        same = [pc.equal(table[name][1:], table[name][:-1]) for name in ("clip", "chunk")]
        first = np.ones(len(table), np.bool_)
        first[1:] = ~pc.and_(*same).to_numpy().astype(np.bool_)
        return table.filter(pa.array(first))

    def _sorted(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all files, sorted by clip and chunk; some rows perhaps twice."""
        # First the files of one row: one that is packed meanwhile is then found in its pack.
        tables = [read_rows(path, names) for path in self._loose()]
        tables += self._packs.columns(names)
        table = pa.concat_tables(tables) if tables else SCHEMA.empty_table().select(names)
        return table.sort_by([("clip", "ascending"), ("chunk", "ascending")])

    def progress(self) -> dict[str, ClipProgress]:
        """How far every clip has come that has a row."""
        names = ("clip", "chunk", "last", "status")
        # A clip at a time, and of the table a part at a time: as Python's objects a million rows
        # take half a gigabyte.
        parts = self._sorted(names).to_batches(PACK_ROWS)
        rows = (row for part in parts for row in zip(*map(pa.Array.to_pylist, part), strict=True))
        clips: dict[str, ClipProgress] = {}
        for clip, mine in groupby(rows, itemgetter(0)):
            # A row may be there twice, as in `_distinct_rows`.
            standing = {chunk: (chunk, last, status) for _, chunk, last, status in mine}
            clips[clip] = _progress([*standing.values()])
        return clips

    def total(self, clip: str) -> ClipSum:
        """Add up the person's faces in float64 and chunk order, so that arrival order is nothing.

        The person is the longest track of the clip; those of others do not count.
        """
        rows = self.rows(clip)
        owned, others = _of_one_person(rows)
        parts = [(row, own) for row, own in zip(rows, owned, strict=True) if own.any()]
        vertices = [part for row, own in parts for part in _own_sums(row.vertices, own)]
        vectors = [_own_vectors(row, own) for row, own in parts if row.vectors is not None]
        return ClipSum(
            finished=_progress([(row.chunk, row.last, row.status) for row in rows]).finished,
            frames=sum(row.frames for row in rows),
            faces=sum(int(_counts(row)[own].sum()) for row, own in parts),
            failed=sum(row.failed for row in rows),
            reasons=tuple(dict.fromkeys(row.reason for row in rows if row.reason)),
            sum=_add_up([part for row, own in parts for part in _own_sums(row.sum, own)]),
            vertices=_add_up(vertices) if vertices else None,
            vectors=np.concatenate(vectors) if vectors else None,
            others=others,
        )

    def frames_per_second(self) -> float:
        """Frames read over the seconds that all commands spent on it; NaN for none.

        A command's seconds end with its last row, so what it did after that and lost when it was
        killed counts neither as frames nor as time.
        """
        # Not as pandas' objects: of a million rows they take a hundred megabytes.
        rows = self._distinct_rows(["clip", "chunk", "command", "elapsed", "frames"])
        # Of each command its own clock: the hours between two of them are no work.
        ends = rows.group_by("command").aggregate([("elapsed", "max")]).sort_by("command")
        seconds = float(ends["elapsed_max"].to_numpy().sum())
        return float(pc.sum(rows["frames"]).as_py()) / seconds if seconds > 0 else float("nan")

    def rows(self, clip: str) -> list[ChunkRow]:
        """A clip's rows in the order of its chunks."""
        loose = [read_rows(path) for path in (self.folder / clip).glob("*.parquet")]
        tables = [*self._packs.clip(clip), *loose]
        found = {row.chunk: row for table in tables for row in rows_of(table)}
        # Sums of floats in the order of the chunks, so that a resumed run ends in the same digits.
        return [found[chunk] for chunk in sorted(found)]

    def _pack(self) -> None:
        read = [(path, read_rows(path)) for path in self._to_pack]
        kept = {path: table for path, table in read if FAILED not in table["status"].to_pylist()}
        if kept:
            self._packs.add(pa.concat_tables(kept.values(), promote_options="default"))
        _remove(kept)
        self._to_pack = {}

    def _loose(self) -> Iterator[Path]:
        files = self.folder.rglob("*.parquet")
        return (p for p in files if p.parent != self._packs.folder and p.stem.isdecimal())


def _progress(rows: Sequence[Standing]) -> ClipProgress:
    """How far a clip is, by its rows sorted by chunk."""
    done = frozenset(chunk for chunk, _, status in rows if status != FAILED)
    # A last chunk alone does not finish a clip: one before it may have been lost.
    whole = [chunk for chunk, _, _ in rows] == list(range(len(rows)))
    if rows and whole and rows[-1][1] and len(done) == len(rows):
        return _finished(len(rows))
    return ClipProgress(done)


@functools.cache
def _finished(chunks: int) -> ClipProgress:
    """One record for all clips of so many chunks: of a million they are a hundred megabytes."""
    return ClipProgress(frozenset(range(chunks)), finished=True)


def _of_one_person(
    rows: Sequence[ChunkRow],
) -> tuple[list[NDArray[np.bool_]], tuple[tuple[int, int, int], ...]]:
    """Which segments of each row are the clip's person's; and the other tracks."""
    starts = np.cumsum([0, *(row.frames for row in rows)])
    parts = [_segments(row, int(start)) for row, start in zip(rows, starts, strict=False)]
    changes = [row.changes for row in rows if row.changes is not None]
    own, others = longest_track(
        np.concatenate([np.empty((0, WIDTH)), *parts]), np.concatenate([np.empty((0, 2)), *changes])
    )
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return [own[end - len(part) : end] for end, part in zip(ends, parts, strict=True)], others


def _segments(row: ChunkRow, start: int) -> Segments:
    if row.segments is not None or not row.faces:
        return row.segments if row.segments is not None and row.faces else np.empty((0, WIDTH))
    # Without places there are no tracks: the boxes came from a file, which is of one person.
    ends = [float(start), float(start + row.frames - 1), row.faces, row.faces]
    return np.array([ends + [np.nan] * (WIDTH - len(ends))])


def _counts(row: ChunkRow) -> NDArray[np.int64]:
    """Faces added up in each segment of a row."""
    if row.segments is None:
        return np.array([row.faces])
    return row.segments[:, DESCRIBED].astype(np.int64)


def _own_sums(
    sums: NDArray[np.float64] | None, own: NDArray[np.bool_]
) -> Iterable[NDArray[np.float64]]:
    return () if sums is None else sums.reshape(len(own), -1)[own]


def _own_vectors(row: ChunkRow, own: NDArray[np.bool_]) -> NDArray[np.float32]:
    assert row.vectors is not None
    return row.vectors[np.repeat(own, _counts(row))]


def _n_bytes(row: ChunkRow) -> int:
    arrays: list[NDArray[np.floating] | None] = [getattr(row, name) for name in ARRAYS]
    return sum(array.nbytes for array in arrays if array is not None)


def _is_small(path: Path) -> bool:
    return path.stat().st_size <= SMALL_BYTES


def _remove(paths: Iterable[Path]) -> None:
    """The files, and their clips' and subjects' folders where nothing else is in them."""
    for path in paths:
        path.unlink()
        with suppress(OSError):
            path.parent.rmdir()
            path.parent.parent.rmdir()


def _add_up(arrays: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return functools.reduce(np.add, arrays, np.zeros(())) if arrays else np.empty(0)
