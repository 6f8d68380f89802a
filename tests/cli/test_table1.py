"""`facebench table1`: what it plans and refuses, and a table from beginning to end."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from micc_sets import label_scans
from small_regressor import write_small_regressor

from facebench.bench.method.registry import MethodChoice
from facebench.bench.synthetic.write import MiccPlan, write_micc
from facebench.cli import pipelines as module
from facebench.cli.main import group
from facebench.distributed.plan import RunRequest, describe_run, prepare
from facebench.distributed.table_plan import Entry, is_measured, ready, request_of
from facebench.errors import FacebenchError
from facebench.recon.morphable.load import load_model
from facebench.recon.regressors.checkpoint import embedded_weights
from facebench.results.run.folder import RunFolder
from facebench.results.tracking.run import KEPT_ID


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with landmarks, one scene, two frames."""
    out = tmp_path_factory.mktemp("set") / "micc"
    digest = load_model("embedded").digest
    plan = MiccPlan("embedded", digest, 2, 2, ("cooperative",), True, 3)
    write_micc(plan, out, 1, lambda number: None)
    label_scans(out)
    return out


def table1(*arguments: object) -> Result:
    # Faces as their files have them: half the time of a measurement.
    coarse = ["--set", "points.longest_edge_mm=inf"]
    words = ["table1", *map(str, arguments), "--scenes", "cooperative", *coarse]
    return CliRunner().invoke(group, words)


def refusal(*arguments: object) -> str:
    result = table1(*arguments)
    assert isinstance(result.exception, FacebenchError), result.output
    return str(result.exception)


def test_a_table_is_made_once_and_grows(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "table"
    asked = ("--data", data, "--out", out, "--method", "mean-face")
    first = table1(*asked, "--format", "json")
    assert first.exit_code == 0, first.output
    assert "$ facebench micc" in first.stderr
    values = json.loads(first.stdout[first.stdout.rindex("\n{\n") :])
    assert values["groups"][0]["runs"][0]["label"] == "mean-face"

    again = table1(*asked)
    assert "$ facebench" not in again.stderr and "mean-face" in again.stdout
    assert "published" in (out / "table1.md").read_text()

    other = write_small_regressor(tmp_path / "other" / "weights.pt")
    grown = table1(*asked, "--method", f"ours={other} as no training", "--no-published")
    assert grown.exit_code == 0, grown.output
    assert "--name 'no training'" in grown.stderr and "--method mean-face" not in grown.stderr
    text = (out / "table1.md").read_text()
    assert "no training − mean-face" in text and "published" not in text
    assert (out / "no-training" / "summary.json").is_file()


def test_what_cannot_be_used_is_told_before_anything_runs(data: Path, tmp_path: Path) -> None:
    out = ("--data", data, "--out", tmp_path / "table")
    missing = refusal(*out, "--method", "mean-face", "--method", "ours=none.pt")
    assert missing.startswith("no checkpoint at none.pt")
    assert "no method 'our'" in refusal(*out, "--method", "our")
    same = ("--method", "ours as a b", "--method", "mean-face as a-b")
    assert "two methods would be kept in" in refusal(*out, *same)
    for own in ("training", "--", "table1.md"):
        assert "would be kept in" in refusal(*out, "--method", f"mean-face as {own}")
    stray = ("--method", "mean-face", "--recipe", "tran=tran")
    assert "a recipe for 'tran'" in refusal(*out, *stray)
    unknown = ("--method", "ours", "--train", tmp_path, "--recipe", "ours=nothing")
    assert "nothing" in refusal(*out, *unknown)
    assert not (tmp_path / "table").exists()


def test_a_training_is_the_command_that_a_user_would_type(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the step that would train: what it would be is what counts here."""
    steps: list[list[str]] = []
    monkeypatch.setattr(module, "try_step", lambda words, *_: steps.append(list(words)) or True)
    shards = tmp_path / "shards"
    shards.mkdir()
    asked = ("--data", data, "--out", tmp_path / "t", "--method", "ours", "--method", "mean-face")
    result = table1(*asked, "--train", shards, "--recipe", "ours=ours-embedded", "--steps", 3)
    training = str(tmp_path / "t" / "training" / "ours")
    words = ["train", "--data", str(shards), "--recipe", "ours-embedded", "--model", "embedded"]
    assert steps == [[*words, "--out", training, "--steps", "3", "--seed", "0"]]
    table1(*asked, "--train", shards, "--budget", 30)
    assert steps[-1][steps[-1].index("--minutes") + 1] == "30.0"
    # Nothing was trained, so there is nothing to measure.
    assert isinstance(result.exception, FacebenchError)
    assert "no checkpoint" in str(result.exception)


def test_a_training_that_fails_costs_its_own_row_alone(data: Path, tmp_path: Path) -> None:
    shards, out = tmp_path / "shards", tmp_path / "table"
    shards.mkdir()
    asked = ("--data", data, "--out", out, "--method", "ours", "--method", "mean-face")
    result = table1(*asked, "--train", shards, "--recipe", "ours=ours-embedded")
    assert "no row for ours" in str(result.exception)
    assert str(shards) in result.stderr
    assert "mean-face" in (out / "table1.md").read_text()


def test_side_by_side_the_numbers_are_the_same_and_a_failure_costs_its_own_row(
    data: Path, tmp_path: Path
) -> None:
    alone, out = tmp_path / "alone", tmp_path / "table"
    asked = ("--data", data, "--method", "mean-face")
    assert table1(*asked, "--out", alone).exit_code == 0
    # As if it had been measured alone and lost: what is missing are two methods.
    shutil.copytree(alone, out)
    shutil.rmtree(out / "mean-face")
    (out / "taken").mkdir()
    (out / "taken" / "notes.txt").write_text("mine")
    weights = write_small_regressor(tmp_path / "weights.pt")
    more = ("--method", f"ours={weights} as taken", "--side-by-side", 2)
    result = table1(*asked, *more, "--out", out)
    assert "no row for taken" in str(result.exception) and "holds other files" in result.stderr
    assert "mean-face" in (out / "table1.md").read_text()
    rows = [(one / "mean-face" / "items.parquet").read_bytes() for one in (alone, out)]
    assert rows[0] == rows[1]


def test_side_by_side_methods_share_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facebench.distributed.cluster.is_connected", lambda: True)
    monkeypatch.setattr("facebench.distributed.frames.one_actor_each", lambda: 8)
    shares = [
        module._room({"side_by_side": most, "workers": workers}, 5)
        for most, workers in ((1, None), (3, None), (3, 4), (3, 99), (99, None))
    ]
    assert shares == [(1, None), (3, 2), (3, 1), (3, 2), (5, 1)]


def measured(entry: Entry, shared: RunRequest) -> bool:
    return is_measured(entry, ready(entry, shared), shared)


def test_a_changed_weights_file_is_measured_again(data: Path, tmp_path: Path) -> None:
    weights = write_small_regressor(tmp_path / "weights.pt")
    entry = Entry(MethodChoice("ours", weights, "ours"), tmp_path / "table")
    shared = RunRequest(data, scenes=("cooperative",))
    assert not measured(entry, shared)
    request = request_of(entry, shared)
    record = describe_run(prepare(request), request, "", {}, {})
    folder = RunFolder(entry.run)
    folder.begin(record)
    assert not measured(entry, shared)
    folder.write_record(replace(record, ended="2020-01-01T00:00:00+00:00"))
    folder.write_summary({})
    # Killed before it was logged: another command logs it.
    assert not measured(entry, shared)
    (entry.run / KEPT_ID).write_text('{"logged": true}')
    assert measured(entry, shared)
    assert not measured(entry, replace(shared, settings=("crop.radius_mm=80",)))
    shutil.copy(embedded_weights(), weights)
    assert not measured(entry, shared)
