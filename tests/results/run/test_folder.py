"""The run folder: what is written is read back, nothing is lost, settings are not mixed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facebench import __version__
from facebench.bench.dataset.interface import Problem
from facebench.bench.method.clip_faces import FOLLOWING, ChunkRow
from facebench.bench.method.interface import MethodCard
from facebench.bench.scoring.result import Result
from facebench.errors import FacebenchError
from facebench.recon.files.text import write_json
from facebench.results.run.folder import SETTINGS, RunFolder, RunRecord
from facebench.results.run.items import ItemsTable, PointErrors, schema
from facebench.results.run.record import host, package_versions, source_state
from facebench.results.run.summary import SceneSummary


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


def test_a_run_holds_faces_followed_in_one_way(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_record(make_record())
    values = json.loads((tmp_path / "run.json").read_text())
    # Records of before said whether faces were followed, and not how.
    for said, way in ((False, 0), (True, 1)):
        write_json(tmp_path / "run.json", {**values, "tracking": said})
        assert folder.record().tracking == way != FOLLOWING
    with pytest.raises(FacebenchError, match="another tracking"):
        folder.begin(make_record(tracking=FOLLOWING))


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


def test_what_is_damaged_is_told_once(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.ledger.write(ChunkRow("s/a", 0, True, 32, 1, 0, "ok", "", 0.1, np.ones(3)))
    (path,) = (tmp_path / "chunks.parquet" / "s" / "a").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    with folder.locked() as told:
        assert told == (f"{path} is damaged: its chunks are computed again",)
    with folder.locked() as told:
        assert told == ()


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


def test_items_are_sorted_and_typed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.items().empty and set(folder.items().columns) == set(schema().names)
    failed = Result("b", "x", "failed", "no scan", "micc", "d", item="b/x")
    scored = Result(
        "a", "x", "ok", "", "micc", "d", item="a/x", mean_mm=1.5, scans=("f",), curve=(0.0, 1.0)
    )
    folder.scores.write([failed, scored])
    table = folder.items()
    assert table["subject"].tolist() == ["a", "b"]
    assert table["mean_mm"].dtype == np.float64 and math.isnan(table["mean_mm"][1])
    first, second = folder.scores.results()
    assert repr(first) == repr(scored) and repr(second) == repr(failed)


def _spoil(name: str) -> pa.Array:
    """Two values of another kind than a column of results has."""
    kind = schema().field(name).type
    text = pa.types.is_string(kind)
    return pa.array([1.5, 2.5]) if text else pa.array(["x", "y"])


@pytest.mark.parametrize("how", ["kind", "null", "missing"])
def test_damage_of_any_column_is_told(tmp_path: Path, how: str) -> None:
    table = ItemsTable(tmp_path / "items.parquet")
    table.write([Result("a", s, "ok", "", "micc", "d", item=f"a/{s}") for s in "xy"])
    sound = pq.read_table(table.path)
    assert [name for name in schema().names if not _is_told(table, sound, name, how)] == []


def _is_told(table: ItemsTable, kept: pa.Table, name: str, how: str) -> bool:
    """Whether reading the table says which of its columns was damaged."""
    number = kept.schema.get_field_index(name)
    if how == "missing":
        kept = kept.remove_column(number)
    else:
        field = kept.schema.field(number)
        values = [*kept[name].to_pylist()[:1], None]
        other = _spoil(name) if how == "kind" else pa.array(values, field.type)
        kept = kept.set_column(number, name, other)
    pq.write_table(kept.replace_schema_metadata(schema().metadata), table.path)
    try:
        table.read()
    except FacebenchError as error:
        return f"column {name} is" in str(error)
    return False


def test_a_newer_table_or_record_is_refused_with_both_versions(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(make_record())
    folder.scores.write([])
    newer = schema().with_metadata({b"facebench.version": b"7"})
    pq.write_table(newer.empty_table(), folder.scores.path)
    with pytest.raises(FacebenchError, match=rf"version 7 .* {__version__} reads up to version 2"):
        folder.items()
    values = json.loads((tmp_path / "run.json").read_text())
    versions = {**values["versions"], "facebench": "9.1"}
    write_json(tmp_path / "run.json", {**values, "version": 7, "versions": versions})
    with pytest.raises(
        FacebenchError, match=r"by facebench 9\.1 in version 7 of run folders; .* 2"
    ):
        folder.record()


def test_point_errors_survive_a_round_trip(tmp_path: Path) -> None:
    kept = PointErrors(tmp_path)
    rng = np.random.default_rng(0)
    sides = rng.exponential(size=300), rng.exponential(size=700)
    kept.write("subject_01/indoor", sides)
    for found, side in zip(kept.read("subject_01/indoor"), sides, strict=True):
        np.testing.assert_array_equal(found, side.astype(np.float32))
    table = pd.read_parquet(tmp_path / "subject_01" / "indoor.parquet")
    assert table.groupby("direction", observed=True).size().to_dict() == {
        "scan_to_prediction": 300,
        "prediction_to_scan": 700,
    }
    kept.remove("subject_01/indoor")
    kept.remove("subject_01/indoor")
    with pytest.raises(FileNotFoundError):
        kept.read("subject_01/indoor")


def test_a_changed_file_of_predictions_does_not_forbid_to_go_on(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    files = replace(make_record().card, kind="files")
    before = make_record(card=files, items=("a", "b"))
    folder.begin(before)
    folder.begin(make_record(card=files, items=("a", "b", "c"), dataset_digest="other"))
    with pytest.raises(FacebenchError, match="another items"):
        folder.begin(make_record(card=files, items=("a",)))


def test_every_code_that_worked_on_a_run_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for commits in (("aa",), ("aa",), ("bb+",)):
        folder.begin(make_record(commits=commits))
    assert folder.record().commits == ("aa", "bb+")


def test_provenance_names_this_checkout() -> None:
    commit, _ = source_state()
    inside = (Path(__file__).parents[3] / ".git").exists()
    assert (len(commit) == 40) == inside
    assert package_versions()["facebench"]


def test_who_reads_a_run_measures_nothing_and_decodes_no_video() -> None:
    """Their libraries take a processor second to import."""
    heavy = "print({'av', 'open3d', 'torch'} & set(sys.modules))"
    program = f"import sys, facebench.results.compare; {heavy}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
