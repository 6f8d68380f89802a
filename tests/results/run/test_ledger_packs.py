"""Packs of a ledger: whatever is packed when, whatever is killed, the rows are the same."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from damaged_parquet import damage
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.bench.method.clip_faces import FAILED, OK, ChunkRow
from facebench.results.run import ledger as ledger_module
from facebench.results.run import ledger_files as packs_module
from facebench.results.run.ledger import Ledger

CLIPS = ("s1/a", "s1/b", "s2/a")


def make_row(clip: str, chunk: int, status: str = OK) -> ChunkRow:
    rng = np.random.default_rng([CLIPS.index(clip), chunk])
    vector = rng.normal(size=4) * 10.0 ** rng.integers(-6, 6)
    faces = 0 if status == FAILED else 3
    total = vector if faces else np.empty(0)
    return ChunkRow(clip, chunk, chunk == 4, 32, faces, 0, status, "", 0.1, total)


@pytest.fixture(scope="module")
def packed_from_three_on() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_module, "TOGETHER", 3)
        yield


ALL = tuple((clip, chunk) for clip in CLIPS for chunk in range(5))


@given(
    order=st.permutations(ALL),
    failing=st.sets(st.sampled_from(ALL)),
    pack_rows=st.integers(1, 9),
    killed_after=st.lists(st.integers(0, len(ALL)), max_size=3),
    at_once=st.integers(1, 6),
)
@settings(max_examples=10 if "FACEBENCH_SLOW" in os.environ else 4, deadline=None)
@pytest.mark.usefixtures("packed_from_three_on")
def test_packing_changes_nothing(
    order: Sequence[tuple[str, int]],
    failing: set[tuple[str, int]],
    pack_rows: int,
    killed_after: list[int],
    at_once: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Rows in any order, some failing at first, new commands in between: like files of one row."""
    plain = Ledger(tmp_path_factory.mktemp("plain"))
    folder = tmp_path_factory.mktemp("packed")
    packed = Ledger(folder, pack_rows)
    waiting: list[ChunkRow] = []
    first = [make_row(*key, status=FAILED if key in failing else OK) for key in order]
    second = [make_row(*key) for key in order if key in failing]
    for number, row in enumerate([*first, *second]):
        if number in killed_after or number == len(first):
            packed.write_all(waiting, "one", 0.0)
            waiting.clear()
            packed = Ledger(folder, pack_rows)
            packed.tidy()
        plain.write(row, "one", 0.0)
        waiting.append(row)
        if len(waiting) >= at_once:
            packed.write_all(waiting, "one", 0.0)
            waiting.clear()
    packed.write_all(waiting, "one", 0.0)
    pd.testing.assert_frame_equal(plain.table(), packed.table())
    assert plain.progress() == packed.progress()
    assert len(pd.read_parquet(folder)) == len(ALL)
    for clip in CLIPS:
        ours, theirs = plain.total(clip), packed.total(clip)
        assert ours.sum.tobytes() == theirs.sum.tobytes() and ours.finished and theirs.finished


class KilledError(Exception):
    """A kill, at a place of our choice."""


def test_killed_between_a_pack_and_the_removal_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path, pack_rows=3)

    def killed(paths: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(ledger_module, "_remove", killed)
        with pytest.raises(KilledError):
            for chunk in range(3):
                ledger.write(make_row("s1/a", chunk))
    after = Ledger(tmp_path, pack_rows=3)
    assert after.table()["chunk"].tolist() == [0, 1, 2] and after.total("s1/a").faces == 9
    after.tidy()
    assert pd.read_parquet(tmp_path)["chunk"].tolist() == [0, 1, 2]
    assert [path.parent.name for path in tmp_path.rglob("*.parquet")] == ["packed"]


def test_a_large_row_keeps_its_own_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, pack_rows=1)
    noise = np.random.default_rng(0).normal(size=20_000)
    ledger.write(ChunkRow("s1/a", 0, True, 32, 1, 0, OK, "", 0.1, np.ones(4), vertices=noise))
    ledger.write(make_row("s1/b", 0))
    assert [path.name for path in (tmp_path / "s1" / "a").iterdir()] == ["00000.parquet"]
    assert not (tmp_path / "s1" / "b").exists()
    np.testing.assert_array_equal(ledger.total("s1/a").vertices, noise)


def test_the_rows_of_many_clips_are_read_from_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, a pack is opened once for all its clips, not once for each."""
    ledger = Ledger(tmp_path, pack_rows=100)
    clips = [f"s{number:03d}/a" for number in range(200)]
    for clip in clips:
        ledger.write(ChunkRow(clip, 0, True, 32, 1, 0, OK, "", 0.1, np.ones(2)))
    assert len(list((tmp_path / "packed").iterdir())) == 2
    opened: list[str] = []
    read = packs_module.read_rows

    def counted(path: Path, columns: Sequence[str] | None = None) -> Any:
        opened.extend([path.stem] if columns is None else [])
        return read(path, columns)

    monkeypatch.setattr(packs_module, "read_rows", counted)
    fresh = Ledger(tmp_path)
    assert [fresh.total(clip).faces for clip in clips] == [1] * 200
    assert opened == ["00000", "00001"]


def three_packs(folder: Path) -> list[Path]:
    ledger = Ledger(folder, pack_rows=2)
    for chunk in range(6):
        ledger.write(make_row("s1/a", chunk))
    return sorted((folder / "packed").iterdir())


@pytest.mark.parametrize("lost", range(3))
def test_a_pack_that_is_gone_costs_its_own_rows_only(tmp_path: Path, lost: int) -> None:
    three_packs(tmp_path)[lost].unlink()
    after = Ledger(tmp_path, pack_rows=2)
    after.tidy()
    gone = {2 * lost, 2 * lost + 1}
    assert after.progress()["s1/a"].done == set(range(6)) - gone
    assert after.total("s1/a").faces == 12
    for chunk in sorted(gone):
        after.write(make_row("s1/a", chunk))
    assert Ledger(tmp_path).table()["chunk"].tolist() == list(range(6))
    assert Ledger(tmp_path).total("s1/a").faces == 18


def test_a_damaged_pack_costs_its_own_rows_only(tmp_path: Path) -> None:
    pack = three_packs(tmp_path)[1]
    pack.write_bytes(pack.read_bytes()[:100])
    after = Ledger(tmp_path, pack_rows=2)
    after.tidy()
    assert after.progress()["s1/a"].done == {0, 1, 4, 5}
    for chunk in (2, 3):
        after.write(make_row("s1/a", chunk))
    assert Ledger(tmp_path).total("s1/a").faces == 18


@pytest.mark.parametrize("column", ["sum", "reason"])
@pytest.mark.parametrize("changed", [1, 30])
@pytest.mark.parametrize("pack_rows", [2, 100])
def test_a_file_with_one_damaged_column_is_told_and_done_again(
    tmp_path: Path, pack_rows: int, changed: int, column: str
) -> None:
    """It was done by its other columns, and the next start removed what was computed again."""
    ledger = Ledger(tmp_path, pack_rows)
    for chunk in range(5):
        ledger.write(make_row("s1/a", chunk))
    whole = ledger.total("s1/a")
    path = sorted(path for path in tmp_path.rglob("*.parquet") if path.is_file())[0]
    lost = pq.read_table(path)["chunk"].to_pylist()
    damage(path, column, changed)

    after = Ledger(tmp_path, pack_rows)
    assert after.tidy() == (path,)
    progress = after.progress()["s1/a"]
    assert progress.done == set(range(5)) - set(lost) and not progress.finished
    for chunk in lost:
        after.write(make_row("s1/a", chunk))

    again = Ledger(tmp_path, pack_rows)
    assert again.tidy() == () and again.progress()["s1/a"].finished
    assert again.total("s1/a").sum.tobytes() == whole.sum.tobytes()
    assert sorted(pd.read_parquet(tmp_path)["chunk"]) == list(range(5))


def test_rows_with_and_without_meshes_share_a_pack(tmp_path: Path) -> None:
    """A chunk in which no face was found has none, in a run that averages meshes."""
    ledger, vertices = Ledger(tmp_path, pack_rows=2), np.arange(6.0)
    ledger.write(ChunkRow("s1/a", 0, False, 32, 3, 0, OK, "", 0.1, np.ones(4), vertices=vertices))
    ledger.write(ChunkRow("s1/a", 1, True, 32, 0, 0, OK, "", 0.1, np.empty(0)))
    assert [path.parent.name for path in tmp_path.rglob("*.parquet")] == ["packed"]
    total = Ledger(tmp_path).total("s1/a")
    assert total.finished and total.vertices is not None
    np.testing.assert_array_equal(total.vertices, vertices)
