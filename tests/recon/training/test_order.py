from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from facebench.recon.training.batches import epoch_order
from facebench.recon.training.shards import RowGroups

GROUPS = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(GROUPS, st.integers(1, 40), st.integers(0, 3))
def test_every_row_comes_once(groups: list[int], pool: int, seed: int) -> None:
    order = epoch_order(tuple(groups), seed, 0, pool)
    assert sorted(order) == list(range(sum(groups)))


@given(GROUPS, st.integers(1, 40))
def test_few_groups_are_open_at_a_time(groups: list[int], pool: int) -> None:
    order = epoch_order(tuple(groups), 1, 0, pool)
    group = np.repeat(np.arange(len(groups)), groups)[order]
    first, last = (
        {int(g): int(np.flatnonzero(group == g)[i]) for g in np.unique(group)} for i in (0, -1)
    )
    for place in range(len(order)):
        open_rows = sum(groups[g] for g in first if first[g] <= place <= last[g])
        assert open_rows < pool + max(groups)


def test_epochs_differ_and_neighbours_are_parted() -> None:
    one, two = (epoch_order((200,) * 20, 0, epoch, 1000) for epoch in (0, 1))
    assert not np.array_equal(one, two)
    assert (np.abs(np.diff(one)) == 1).mean() < 0.01


def test_row_groups_give_the_rows_of_all_files_and_keep_few(tmp_path: Path) -> None:
    for name, start in (("a", 0), ("b", 10)):
        table = pa.table({"value": list(range(start, start + 10)), "text": ["x"] * 10})
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=4)
    paths = sorted(tmp_path.glob("*.parquet"))
    rows = RowGroups(paths, limit=None, kept=5)
    assert rows.sizes == (4, 4, 2, 4, 4, 2)
    for number in (7, 0, 19, 12, 3, 7):
        assert rows.row(number) == {"value": number, "text": "x"}
        assert sum(len(table) for table in rows._kept.values()) <= 5 + 4
    assert rows.column("value") == list(range(20))
    few = RowGroups(paths, limit=13, kept=5)
    assert few.sizes == (4, 4, 2, 3)
    assert few.column("value") == list(range(13))
