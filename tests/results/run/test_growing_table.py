"""A growing table: kept often, at a cost that stays a share of the time, and always in the end."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from facebench.bench.scoring.result import Result
from facebench.errors import FacebenchError
from facebench.results.run import growing as growing_module
from facebench.results.run import items
from facebench.results.run.growing import GrowingTable
from facebench.results.run.items import ItemsTable, table_of_results


class SlowTable(ItemsTable):
    """Writing takes a millisecond a row, by a clock of its own; nothing is written."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(path)
        self.now, self.spent, self.kept = 0.0, 0.0, [0]
        monkeypatch.setattr(growing_module.time, "monotonic", lambda: self.now)

    def write_parts(self, parts: Sequence[Any], rows: NDArray[np.int64]) -> None:
        self.now += 0.001 * len(rows)
        self.spent += 0.001 * len(rows)
        self.kept.append(len(rows))


def rows_of(subject: int) -> list[Result]:
    return [
        Result(f"s{subject}", scene, "failed", "", "", "", item=f"s{subject}/{scene}")
        for scene in ("a", "b")
    ]


@pytest.mark.parametrize(("seconds", "subjects"), [(1.0, 30), (0.02, 3000), (0.02, 30000)])
def test_keeping_costs_a_share_of_the_time(
    seconds: float, subjects: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = SlowTable(tmp_path / "items.parquet", monkeypatch)
    with GrowingTable(table) as growing:
        for subject in range(subjects):
            table.now += seconds
            growing.add(rows_of(subject))
            lost = (subject + 1 - table.kept[-1] / 2) * seconds
            assert lost <= (table.kept[-1] * 0.001 + seconds) / GrowingTable.SHARE
    assert table.kept[-1] == 2 * subjects
    last = 0.001 * 2 * subjects
    assert table.spent <= GrowingTable.SHARE * table.now + 2 * last


def test_a_subject_that_takes_long_is_kept_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = SlowTable(tmp_path / "items.parquet", monkeypatch)
    with GrowingTable(table) as growing:
        for subject in range(30):
            table.now += 2.0
            growing.add(rows_of(subject))
            assert table.kept[-1] == 2 * (subject + 1)


def test_an_error_keeps_what_is_there(tmp_path: Path) -> None:
    table = ItemsTable(tmp_path / "items.parquet")
    with (
        pytest.raises(KeyboardInterrupt),
        GrowingTable(table, table_of_results(rows_of(0))) as growing,
    ):
        growing.add(rows_of(1))
        growing.add(rows_of(2))
        raise KeyboardInterrupt
    assert table.read()["subject"].tolist() == ["s0", "s0", "s1", "s1", "s2", "s2"]


def test_many_results_are_kept_in_the_files_order_whatever_came_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are replaced, rows that do not count, and row groups of a few."""
    for module in (items, growing_module):
        monkeypatch.setattr(module, "ROWS", 4)
    rows = [row for subject in range(7) for row in rows_of(subject)]
    whole = ItemsTable(tmp_path / "whole.parquet")
    whole.write(rows)
    start = table_of_results([replace(row, note="old") for row in rows[:6]])
    table = ItemsTable(tmp_path / "grown.parquet")
    with GrowingTable(table, start, [True, True, False, False, True, True]) as growing:
        assert len(growing) == 4 and "s1/a" not in growing
        assert [row.item for row in growing.find(["s2/b", "s1/b", "s0/a"])] == ["s2/b", "s0/a"]
        for first in (12, 2, 8, 0, 10, 4, 6):
            growing.add(rows[first : first + 2])
    assert table.path.read_bytes() == whole.path.read_bytes()
    assert list(map(str, table.results())) == list(map(str, rows))


def test_rows_that_came_take_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20,000 rows with a curve, 19 MB, what waits for the writing lies on the disk."""
    rows = [replace(row, curve=(0.5,) * 101) for row in rows_of(0)]
    table = SlowTable(tmp_path / "items.parquet", monkeypatch)
    before = pa.total_allocated_bytes()
    growing = GrowingTable(table)
    for subject in range(10_000):
        growing.add([replace(row, item=f"s{subject}/{row.scene}") for row in rows])
    assert pa.total_allocated_bytes() - before < 8e6
    assert [row.item for row in growing.find(["s17/b", "s9999/a"])] == ["s17/b", "s9999/a"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("failure", "told"),
    [(OSError(errno.EDQUOT, "quota"), FacebenchError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_rows_are_kept_whatever_comes_while_they_are_put_on_the_disk(
    failure: BaseException,
    told: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A network disk tells only as it is flushed that it is full; Ctrl-C comes at any time."""
    for module in (items, growing_module):
        monkeypatch.setattr(module, "ROWS", 4)
    flush = os.fsync

    def fail(number: int) -> None:
        monkeypatch.setattr(os, "fsync", flush)
        raise failure

    table = ItemsTable(tmp_path / "items.parquet")
    growing = GrowingTable(table)
    growing.add(rows_of(0))
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(told), growing:
        growing.add([*rows_of(1), *rows_of(2)])
    found = table.read()["item"].tolist()
    assert found == [row.item for subject in range(3) for row in rows_of(subject)]
