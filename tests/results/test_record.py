"""The run folder: what is written is read back, nothing is lost, settings are not mixed."""

from __future__ import annotations

import json
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

from facebench.bench.chunks import BROKEN, FAILED, OK, ChunkRow
from facebench.bench.dataset import Problem
from facebench.bench.method import MethodCard
from facebench.errors import FacebenchError
from facebench.results.files import write_json
from facebench.results.ledger import SCHEMA, Clock, Ledger
from facebench.results.point_errors import PointErrors
from facebench.results.provenance import host, package_versions, source_state
from facebench.results.record import SETTINGS, RunFolder, RunRecord
from facebench.results.scene_summary import SceneSummary
from facebench.results.subjects_table import SubjectsTable


def make_record(**changes: object) -> RunRecord:
    record = RunRecord(
        command="facebench micc --data d",
        given={"data": "d"},
        arguments={"data": "d", "limit": None},
        card=MethodCard("ours", "title", "paper", "MIT", "", (("indoor", 1.37, 0.11),)),
        method_digest="m",
        model_digest="f",
        checkpoint_digest="c",
        protocol="micc",
        protocol_settings={"crop": {"radius_mm": 95.0}},
        protocol_digest="p",
        dataset="micc",
        dataset_digest="d",
        subjects=("subject_01", "subject_02"),
        scenes=("cooperative",),
        excluded=(),
        limit=None,
        unit="mm",
        seed=0,
        problems=(Problem("subject_03", "no scan"),),
        versions=package_versions(),
        host=host(),
        started="2020-01-01T00:00:00+00:00",
    )
    return replace(record, **changes)


def make_row(clip: str = "s/a", chunk: int = 0, **changes: object) -> ChunkRow:
    vector = np.random.default_rng(chunk).normal(size=5) * 10.0 ** (chunk % 7)
    row = ChunkRow(clip, chunk, False, 32, 30, 0, OK, "", 0.5, vector)
    return replace(row, **changes)


def test_record_survives_a_round_trip(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.begin(make_record())
    assert RunFolder.existing(tmp_path / "run").record() == make_record()


def test_record_ignores_fields_of_later_versions(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_record(make_record())
    values = json.loads((tmp_path / "run.json").read_text())
    write_json(tmp_path / "run.json", {**values, "unheard_of": 1})
    assert folder.record() == make_record()


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "method"])
def test_a_rerun_with_another_setting_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(make_record())
    other = ("x",) if name in ("subjects", "scenes") else 7 if name in ("limit", "seed") else "x"
    with pytest.raises(FacebenchError, match=name.replace("_", " ")):
        folder.begin(make_record(**{name: other}))
    assert folder.record() == make_record()


def test_resuming_keeps_the_first_start(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(make_record())
    assert folder.begin(make_record(started="2030")).started == make_record().started


def test_two_commands_on_one_folder(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path).locked(),
        pytest.raises(FacebenchError, match="another command"),
        RunFolder(tmp_path).locked(),
    ):
        pass
    with RunFolder(tmp_path).locked():
        pass


def test_not_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="not a run folder"):
        RunFolder.existing(tmp_path)


def test_summary_keeps_nan_as_null(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(make_record())
    nan = math.nan
    summary = SceneSummary(nan, nan, (nan, nan), nan, nan, nan, 0, 2, 0.5, nan, 64, 32, 12.5)
    folder.write_summary({"cooperative": summary})
    assert "NaN" not in (tmp_path / "summary.json").read_text()
    back = folder.summary()["cooperative"]
    assert math.isnan(back.mean_mm) and math.isnan(back.ci95_mm[1])
    assert (back.n_failed, back.coverage, back.frames_per_second) == (2, 0.5, 12.5)


def test_subjects_are_sorted_and_typed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.subjects().empty
    failed = {"subject": "b", "scene": "x", "status": "failed", "reason": "no scan"}
    scored = {"subject": "a", "scene": "x", "status": "scored", "reason": "", "mean_mm": 1.5}
    folder.write_subjects([failed, scored])
    table = folder.subjects()
    assert table["subject"].tolist() == ["a", "b"]
    assert table["mean_mm"].dtype == np.float64 and math.isnan(table["mean_mm"][1])


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
    assert not ledger.finished("s/a")
    ledger.write(make_row(chunk=1, last=True))
    assert not ledger.finished("s/a") and ledger.done("s/a") == {1}
    ledger.write(make_row(chunk=0, status=FAILED))
    assert not ledger.finished("s/a") and ledger.done("s/a") == {1}
    ledger.write(make_row(chunk=0, status=BROKEN))
    assert ledger.finished("s/a")


def test_the_rate_counts_every_commands_time_once(tmp_path: Path) -> None:
    """64 frames in 4 s, then a kill and 32 frames in 2 s: 16 a second, whoever came last."""
    ledger = Ledger(tmp_path)
    assert math.isnan(ledger.frames_per_second())
    for chunk, clock in enumerate((Clock("a", 4.0), Clock("a", 1.0), Clock("b", 2.0))):
        ledger.write(make_row(chunk=chunk), clock)
    assert ledger.frames_per_second() == 16.0
    ledger.write(make_row(chunk=3, frames=0), Clock("c", 6.0))
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


def test_point_errors_survive_a_round_trip(tmp_path: Path) -> None:
    kept = PointErrors(tmp_path)
    rng = np.random.default_rng(0)
    sides = rng.exponential(size=300), rng.exponential(size=700)
    kept.write("subject_01", "indoor", sides)
    for found, side in zip(kept.read("subject_01", "indoor"), sides, strict=True):
        np.testing.assert_array_equal(found, side.astype(np.float32))
    table = pd.read_parquet(tmp_path / "subject_01_indoor.parquet")
    assert table.groupby("direction", observed=True).size().to_dict() == {
        "scan_to_prediction": 300,
        "prediction_to_scan": 700,
    }
    kept.remove("subject_01", "indoor")
    kept.remove("subject_01", "indoor")
    with pytest.raises(FileNotFoundError):
        kept.read("subject_01", "indoor")


def test_only_whole_subjects_of_the_same_scale_are_taken_up(tmp_path: Path) -> None:
    table = SubjectsTable(tmp_path / "subjects.parquet")
    assert table.whole_subjects(2, None) == []

    def row(subject: str, scene: str, status: str = "ok", scale: float = math.nan) -> dict:
        lists = {"curve": [0.0, 1.0], "scans": ["frontal1"], "scan_values_mm": [1.5]}
        names = {"subject": subject, "scene": scene, "status": status, "fixed_scale": scale}
        return {**names, **(lists if status == "ok" else dict.fromkeys(lists))}

    whole, half = [row("a", "x"), row("a", "y")], [row("b", "x"), row("b", "y", "failed")]
    fixed = [row("c", "x", scale=1.0123456789012345), row("c", "y", scale=1.0123456789012345)]
    table.write([*fixed, *half, *whole])
    assert table.whole_subjects(2, None) == [
        row | {"fixed_scale": pytest.approx(math.nan, nan_ok=True)} for row in whole
    ]
    assert table.whole_subjects(2, 1.0123456789012345) == fixed
    assert table.whole_subjects(2, 1.01) == []


def test_total_of_a_clip_without_faces(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(make_row(faces=0, sum=np.empty(0), reason="no face"))
    total = ledger.total("s/a")
    assert (total.frames, total.faces, total.sum.size) == (32, 0, 0)
    assert total.reasons == ("no face",)


WRITER = """
import sys, numpy as np
from pathlib import Path
from facebench.bench.chunks import ChunkRow
from facebench.results.ledger import Ledger
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
    time.sleep(0.5)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    table = pd.read_parquet(tmp_path)
    assert sorted(table["chunk"]) == list(range(len(table))) and len(table) > 3
    assert all(
        (row == chunk).all() for row, chunk in zip(table["sum"], table["chunk"], strict=True)
    )


def test_provenance_names_this_checkout() -> None:
    commit, _ = source_state()
    inside = (Path(__file__).parents[2] / ".git").exists()
    assert (len(commit) == 40) == inside
    assert package_versions()["facebench"]
