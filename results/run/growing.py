"""The table of items of a run in progress: written often, hardly any of it in memory."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...bench.scoring.result import Result
from ...recon.files.writing import explain_write_errors
from .items import ROWS, ItemsTable, results_of, schema, table_of_results, take_rows


class GrowingTable:
    """Keeps a table while results come, as often as that costs little.

    A table is written whole, so writing it for each of many subjects would cost the square of
    their number. It is written when `SHARE` of the time since the last writing is more than that
    took, and when the block ends, whatever ends it: what a kill costs is measured again.

    Args:
        table: where.
        start: rows that it has already, a table of its columns.
        valid: which of them still count; all by default.
    """

    SHARE = 0.05

    def __init__(
        self, table: ItemsTable, start: Any = None, valid: Sequence[bool] | None = None
    ) -> None:
        start = schema().empty_table() if start is None else start
        self._parts = _Parts(table.path)
        for batch in start.to_batches():
            self._parts.add(pa.Table.from_batches([batch]))
        items = start["item"].to_pylist()
        self._rows = {one: row for row, one in enumerate(items) if valid is None or valid[row]}
        self._settled, self._fresh = len(items), list[Result]()
        self._table = table
        self._unwritten = False
        self._ended, self._took = -math.inf, 0.0

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, item: str) -> bool:
        return item in self._rows

    def __enter__(self) -> GrowingTable:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._unwritten:
            self.write()

    def find(self, items: Iterable[str]) -> list[Result]:
        """Its results of these items, of those that it has."""
        rows = [self._rows[item] for item in items if item in self._rows]
        if not rows:
            return []
        self._append_fresh()
        return results_of(take_rows(self._parts, self._parts.ends, np.array(rows, np.int64)))

    def add(self, results: Sequence[Result]) -> None:
        """Take a subject's results, in the place of earlier ones of the same items."""
        first = self._settled + len(self._fresh)
        self._rows |= {result.item: first + place for place, result in enumerate(results)}
        self._fresh += results
        self._unwritten = True
        if len(self._fresh) >= ROWS:
            self._append_fresh()
        if self._took <= self.SHARE * (time.monotonic() - self._ended):
            self.write()

    def write(self) -> None:
        """Write all that it has."""
        began = time.monotonic()
        self._append_fresh()
        self._table.write_parts(self._parts, np.array([*self._rows.values()], np.int64))
        self._ended, self._unwritten = time.monotonic(), False
        self._took = self._ended - began

    def _append_fresh(self) -> None:
        """Turn the rows since the last call into columns."""
        if not self._fresh:
            return
        self._parts.add(table_of_results(self._fresh))
        self._settled += len(self._fresh)
        self._fresh = []


class _Parts(Sequence[Any]):
    """Rows in the order they came, as tables of `ROWS` or more that lie in a file without a name.

    Of these only what is looked at is in memory: the rows of a hundred thousand subjects are half a
    gigabyte. The last table waits in memory until it is large enough.

    Args:
        path: of the table that they become, beside which there is room for them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._places: list[tuple[int, int, int]] = []
        """Of each table that is written: first byte, bytes and rows."""
        self._last = schema().empty_table()

    def __len__(self) -> int:
        return len(self._places) + 1

    def __getitem__(self, number: Any) -> Any:
        if number == len(self._places):
            return self._last
        if not 0 <= number < len(self._places):
            raise IndexError(number)
        assert self._file is not None
        start, size, _ = self._places[number]
        # Nothing is copied: the pages that are touched come from the disk, and go with the table.
        mapped = mmap.mmap(self._file.fileno(), size, offset=start, access=mmap.ACCESS_READ)
        return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped))).read_all()

    @property
    def ends(self) -> NDArray[np.int64]:
        """After how many rows over all each table ends."""
        return np.cumsum([*(rows for *_, rows in self._places), len(self._last)], dtype=np.int64)

    def add(self, table: Any) -> None:
        """Append rows.

        Raises:
            FacebenchError: there is no room for them.
        """
        whole = pa.concat_tables([self._last, table]).combine_chunks()
        if len(whole) < ROWS:
            self._last = whole
            return
        with explain_write_errors(self._path):
            # Size and rows in one step: Ctrl-C may come after any.
            self._places.append(self._write(whole))
        self._last = schema().empty_table()

    def _write(self, table: Any) -> tuple[int, int, int]:
        """Where in the file the table lies, its size in bytes, and its rows."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._path.parent)  # noqa: SIM115  as long as self
        end = sum(self._places[-1][:2]) if self._places else 0
        start = -(-end // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue()
        self._file.seek(start)
        self._file.write(content)
        self._file.flush()
        # Network disks tell only now that they are full; what they lack would be read as zeros.
        os.fsync(self._file.fileno())
        return start, content.size, len(table)
