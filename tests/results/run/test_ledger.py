"""The ledger: whole rows whatever happens, totals that do not depend on arrival, a true rate."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.bench.method.clip_faces import BROKEN, FAILED, OK, ChunkRow
from facebench.results.run.ledger import SCHEMA, ClipProgress, Ledger


def make_row(clip: str = "s/a", chunk: int = 0, **changes: object) -> ChunkRow:
    vector = np.random.default_rng(chunk).normal(size=5) * 10.0 ** (chunk % 7)
    row = ChunkRow(clip, chunk, False, 32, 30, 0, OK, "", 0.5, vector)
    return replace(row, **changes)


def test_ledger_rows_survive_a_round_trip(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    rows = [make_row(chunk=i, last=i == 2, reason="half" * i) for i in (2, 0, 1)]
    for row in rows:
        ledger.write(row)
    table = ledger.table()
    assert table.columns.tolist() == [name for name in SCHEMA.names if name != "sum"]
    assert table["chunk"].tolist() == [0, 1, 2] and table["last"].tolist() == [0, 0, 1]
    whole = pd.read_parquet(tmp_path).sort_values("chunk", ignore_index=True)
    np.testing.assert_array_equal(whole["sum"][2], rows[0].sum)


@given(order=st.permutations(range(9)))
@settings(max_examples=15, deadline=None)
def test_totals_do_not_depend_on_arrival(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    for chunk in order:
        ledger.write(make_row(chunk=chunk))
    expected = np.zeros(5)
    for chunk in range(9):
        expected = expected + make_row(chunk=chunk).sum
    assert ledger.total("s/a").sum.tobytes() == expected.tobytes()
    assert ledger.total("s/a").frames == 9 * 32


def test_a_row_is_never_there_twice(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(make_row(faces=1))
    ledger.write(make_row(faces=2))
    assert ledger.table()["faces"].tolist() == [2]


def test_clips_with_like_names_are_kept_apart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(make_row("a_b/c", faces=1))
    ledger.write(make_row("a/b_c", faces=2))
    assert ledger.total("a_b/c").faces == 1 and ledger.total("a/b_c").faces == 2


def test_finished_needs_every_chunk_and_no_failure(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.progress() == {} and not ledger.total("s/a").finished
    ledger.write(make_row(chunk=1, last=True))
    assert ledger.progress() == {"s/a": ClipProgress(frozenset({1}), finished=False)}
    ledger.write(make_row(chunk=0, status=FAILED))
    assert ledger.progress() == {"s/a": ClipProgress(frozenset({1}), finished=False)}
    ledger.write(make_row(chunk=0, status=BROKEN))
    assert ledger.progress() == {"s/a": ClipProgress(frozenset({0, 1}), finished=True)}
    assert ledger.total("s/a").finished


def test_the_rate_counts_every_commands_time_once(tmp_path: Path) -> None:
    """64 frames in 4 s, then a kill and 32 frames in 2 s: 16 a second, whoever came last."""
    ledger = Ledger(tmp_path)
    assert math.isnan(ledger.frames_per_second())
    for chunk, clock in enumerate((("a", 4.0), ("a", 1.0), ("b", 2.0))):
        ledger.write(make_row(chunk=chunk), *clock)
    assert ledger.frames_per_second() == 16.0
    ledger.write(make_row(chunk=3, frames=0), "c", 6.0)
    assert ledger.frames_per_second() == 8.0


def test_extra_columns_are_there_only_where_needed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 5)).astype(np.float32)
    vertices = rng.normal(size=12)
    for name, extra in (("plain", {}), ("meshes", {"vertices": vertices})):
        ledger = Ledger(tmp_path / name)
        ledger.write(make_row(**extra))
        columns = pd.read_parquet(ledger.folder).columns
        assert set(columns) - set(SCHEMA.names) == set(extra)
    np.testing.assert_array_equal(ledger.total("s/a").vertices, vertices)
    ledger = Ledger(tmp_path / "errors")
    for chunk, part in enumerate((vectors[:0], vectors[10:], vectors[:10])):
        ledger.write(make_row(chunk=chunk, faces=len(part), vectors=part))
    np.testing.assert_array_equal(
        ledger.total("s/a").vectors, np.concatenate([vectors[10:], vectors[:10]])
    )
    assert Ledger(tmp_path / "plain").total("s/a").vectors is None


def test_total_of_a_clip_without_faces(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(make_row(faces=0, sum=np.empty(0), reason="no face"))
    total = ledger.total("s/a")
    assert (total.frames, total.faces, total.sum.size) == (32, 0, 0)
    assert total.reasons == ("no face",)


WRITER = """
import sys, numpy as np
from pathlib import Path
from facebench.bench.method.clip_faces import ChunkRow
from facebench.results.run.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
print("go", flush=True)
for i in range(100000):
    ledger.write(ChunkRow("s/a", i, False, 32, 32, 0, "ok", "", 0.1, np.full(20000, float(i))))
"""


def test_kill_while_writing_leaves_whole_rows(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None and writer.stdout.readline() == "go\n"
    while len([*tmp_path.rglob("[0-9]*.parquet")]) < 5 and writer.poll() is None:
        time.sleep(0.02)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    table = pd.read_parquet(tmp_path)
    assert sorted(table["chunk"]) == list(range(len(table))) and len(table) > 3
    assert all(
        (row == chunk).all() for row, chunk in zip(table["sum"], table["chunk"], strict=True)
    )


def _tracked(chunk: int, faces: list[tuple[int, float, int]], last: bool = False) -> ChunkRow:
    """A row of segments: of each its first frame, where it lies, and its faces, which are all 1."""
    rows = [
        [first, first + n - 1, n, n, left, 50.0, 4.6, left, 50.0, 4.6] for first, left, n in faces
    ]
    sums = np.concatenate([np.full(2, float(n)) for *_, n in faces])
    vectors = np.concatenate([np.full((n, 2), left, np.float32) for _, left, n in faces])
    return ChunkRow(
        "s/a",
        chunk,
        last,
        32,
        sum(n for *_, n in faces),
        0,
        OK,
        "",
        0.1,
        sums,
        vertices=np.concatenate([np.full(3, left * n) for _, left, n in faces]),
        vectors=vectors,
        segments=np.array(rows, np.float64),
        changes=np.array([[40.0, 60.0]]) if chunk else None,
    )


def test_only_the_faces_of_the_longest_track_are_added_up(tmp_path: Path) -> None:
    """The person of frames 0 to 39; one false detection, and the other take from frame 40 on."""
    ledger = Ledger(tmp_path, pack_rows=2)
    ledger.write(_tracked(1, [(32, 10.0, 8), (40, 10.0, 20)], last=True))
    ledger.write(_tracked(0, [(0, 10.0, 20), (20, 900.0, 1), (21, 12.0, 9)]))
    total = ledger.total("s/a")
    assert total.finished and (total.frames, total.faces) == (64, 37)
    np.testing.assert_array_equal(total.sum, [37.0, 37.0])
    np.testing.assert_array_equal(total.vertices, np.full(3, 20 * 10.0 + 9 * 12.0 + 8 * 10.0))
    assert total.vectors is not None
    assert total.vectors[:, 0].tolist() == [10.0] * 20 + [12.0] * 9 + [10.0] * 8
    assert total.others == ((40, 59, 20), (20, 20, 1))
