"""A comparison in a real MLflow: one parent, a child a run, the same names for the same numbers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from example_runs import SCENES, example_run
from mlflow import MlflowClient
from mlflow.entities import Run

from facebench.cli.main import group
from facebench.results.run.folder import RunFolder
from facebench.results.tracking.benchmark import EXPERIMENT, RANK

NAMES = ("mean-face", "ours", "theirs")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    root = tmp_path_factory.mktemp("store")
    shutil.copy(empty_store, root)
    for seed, name in enumerate(NAMES):
        example_run(root / name, name, 1.8 - 0.2 * seed, seed)
    return root


@pytest.fixture(autouse=True)
def inside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(home)


def tracked(*arguments: str) -> Result:
    result = CliRunner().invoke(group, ["compare", *arguments, "--track"])
    assert result.exit_code == 0, result.output
    return result


def parent_of(result: Result) -> Run:
    (run_id,) = re.findall(r"^MLflow run (\w{32})", result.stderr, re.MULTILINE)
    return MlflowClient().get_run(run_id)


def children(parent: Run) -> list[Run]:
    below = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    return list(MlflowClient().search_runs([parent.info.experiment_id], below))


@pytest.fixture(scope="module")
def parent(home: Path) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(home)
        return parent_of(tracked(*NAMES))


def test_the_parent_has_the_tables(parent: Run) -> None:
    note = parent.data.tags["mlflow.note.content"]
    assert parent.info.run_name == "mean-face · ours · theirs"
    assert "| mean-face |" in note and "ours − mean-face" in note
    client = MlflowClient()
    kept = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert kept == {"comparison.md", "comparison.csv", "comparison.json"}
    path = client.download_artifacts(parent.info.run_id, "comparison.json")
    printed = CliRunner().invoke(group, ["compare", *NAMES, "--format", "json"]).stdout
    assert json.loads(Path(path).read_text()) == json.loads(printed)


def test_the_children_stand_in_the_order_of_the_table(parent: Run) -> None:
    found = children(parent)  # the newest first, as MLflow shows them
    assert [run.info.run_name for run in found] == list(NAMES)
    assert [run.data.tags[RANK] for run in found] == ["0", "1", "2"]


def test_every_method_has_the_same_names(parent: Run, home: Path) -> None:
    first, *others = (set(run.data.metrics) for run in children(parent))
    added = {f"{scene}.difference_mm" for scene in SCENES}
    for other in others:
        assert first < other and added < other - first
        assert all(".difference_" in name or ".subjects_" in name for name in other - first)
    for run in children(parent):
        summary = RunFolder(home / run.info.run_name).summary()
        for scene in SCENES:
            assert run.data.metrics[f"{scene}.mean_mm"] == summary[scene].mean_mm


def test_the_differences_are_those_of_the_table(parent: Run) -> None:
    path = MlflowClient().download_artifacts(parent.info.run_id, "comparison.json")
    runs = {run.info.run_name: run.data.metrics for run in children(parent)}
    tags = {run.info.run_name: run.data.tags for run in children(parent)}
    for pair in json.loads(Path(path).read_text())["groups"][0]["pairs"]:
        metrics, scene = runs[pair["first"]], pair["scene"]
        assert metrics[f"{scene}.difference_mm"] == pair["difference_mm"]
        assert metrics[f"{scene}.difference_p_holm"] == pair["p_holm"]
        assert metrics[f"{scene}.subjects_won"] == pair["wins"]
        assert tags[pair["first"]][f"{scene}.verdict"] == pair["verdict"]


def test_curves_and_the_dataset(parent: Run) -> None:
    digests = set()
    for run in (parent, *children(parent)):
        (used,) = run.inputs.dataset_inputs
        digests.add((used.dataset.name, used.dataset.digest))
    assert digests == {("micc", ("fedcba9876543210" * 2))}
    for run in children(parent):
        history = MlflowClient().get_metric_history(run.info.run_id, "indoor.share_within")
        assert [point.step for point in history] == list(range(51))


def test_the_same_comparison_updates_the_same_runs(parent: Run) -> None:
    before = {run.info.run_id for run in children(parent)}
    again = parent_of(tracked(*NAMES))
    assert again.info.run_id == parent.info.run_id
    assert {run.info.run_id for run in children(again)} == before
    history = MlflowClient().get_metric_history(min(before), "indoor.share_within")
    assert len(history) == 51


def test_another_order_is_another_comparison(parent: Run) -> None:
    other = parent_of(tracked("ours", "mean-face"))
    assert other.info.run_id != parent.info.run_id
    assert [run.info.run_name for run in children(other)] == ["ours", "mean-face"]
    assert other.info.experiment_id == parent.info.experiment_id
    experiment = MlflowClient().get_experiment(other.info.experiment_id)
    assert experiment.name == EXPERIMENT


def test_split_groups_have_a_parent_each(home: Path) -> None:
    example_run(home / "metric", protocol="metric", protocol_digest="9" * 64)
    result = tracked("ours", "metric", "--split")
    assert result.stderr.count("MLflow run") == 2
