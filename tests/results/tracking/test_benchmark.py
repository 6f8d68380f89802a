"""Tracking in a real MLflow on SQLite: what is logged, reruns, and many first users at once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from example_runs import SCENES, example_run
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import resolve_dataset_source
from same_results import tracking_differences

from facebench.bench.scoring.distance import CURVE_MM
from facebench.errors import FacebenchError
from facebench.results.run.folder import RunFolder
from facebench.results.tables.basis import place_of, refuse_unfinished
from facebench.results.tracking.benchmark import _source, connect, track_run
from facebench.results.tracking.run import KEPT_ID, log_trained_model, open_runs
from facebench.results.tracking.store import sqlite_file, tracking_uri

FIRST_USERS = """
import os
import mlflow
from mlflow.store.tracking import sqlalchemy_store
from facebench.results.tracking.store import connect

def use():
    connect("first")
    mlflow.start_run()
    mlflow.log_metric("x", 1.0)
    mlflow.end_run()

for _ in range(3):
    if os.fork() == 0:
        use()
        os._exit(0)
assert [os.wait()[1] for _ in range(3)] == [0, 0, 0]
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose database is made by several processes, all first users at once.

    They part after the imports, which take the most time and would let them come one by one.
    """
    folder = tmp_path_factory.mktemp("store")
    # MLflow writes the store of earlier tests into the environment.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    command = [sys.executable, "-c", FIRST_USERS]
    done = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, timeout=280
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture
def client(store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(store)
    connect("tests")
    return MlflowClient()


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = example_run(tmp_path / "run")
    folder.report.write_text("<html>report</html>")
    folder.pictures.mkdir()
    (folder.pictures / "overlay.png").write_bytes(b"picture")
    return folder


def test_many_first_users_share_one_database_and_experiment(client: MlflowClient) -> None:
    first = client.get_experiment_by_name("first")
    assert first is not None and len(client.search_runs([first.experiment_id])) == 3
    assert len([e for e in client.search_experiments() if e.name == "first"]) == 1


def test_artefacts_lie_beside_the_database(client: MlflowClient, store: Path) -> None:
    experiment = client.get_experiment_by_name("tests")
    assert experiment is not None
    assert experiment.artifact_location == (store / "mlruns").as_uri()


def test_metrics_tags_and_parameters(client: MlflowClient, run: RunFolder) -> None:
    data = client.get_run(track_run(run, "a name")).data
    for scene, summary in run.summary().items():
        assert data.metrics[f"{scene}.mean_mm"] == summary.mean_mm
        assert data.metrics[f"{scene}.std_mm"] == summary.std_mm
        assert data.metrics[f"{scene}.ci95_low_mm"] == summary.ci95_mm[0]
    record = run.record()
    assert data.tags["protocol_digest"] == record.protocol_digest
    assert data.tags["dataset_digest"] == record.dataset_digest
    assert data.tags["checkpoint_digest"] == record.checkpoint_digest
    assert data.tags["mlflow.runName"] == "a name"
    assert data.params["protocol.crop_mm"] == "95.0" and data.params["data"] == "data"
    # What nobody gave, and the run's own name, would fill MLflow's view of differences.
    assert not {"None", "", "[]"} & set(data.params.values()) and "name" not in data.params


def test_a_scene_may_have_any_name(client: MlflowClient, run: RunFolder, tmp_path: Path) -> None:
    """MLflow's names take no comma, bracket or apostrophe; NoW's folders may have each."""
    folder = RunFolder(shutil.copytree(run.root, tmp_path / "named"))
    (folder.root / KEPT_ID).unlink(missing_ok=True)
    summary = json.loads((folder.root / "summary.json").read_text())
    text = json.dumps(summary).replace('"indoor"', '"smile, (it\'s) open"')
    (folder.root / "summary.json").write_text(text)
    metrics = client.get_run(track_run(folder, "any")).data.metrics
    expected = run.summary()["indoor"].mean_mm
    assert metrics["error_mm/smile_2c _28it_27s_29 open"] == pytest.approx(expected)


def test_what_moves_the_numbers_is_a_parameter(client: MlflowClient, tmp_path: Path) -> None:
    followed = {"data": "data", "tracking": True, "workers": 2, "out": "a"}
    params = client.get_run(
        track_run(example_run(tmp_path / "a", arguments=followed), "a")
    ).data.params
    assert params["tracking"] == "True" and not {"workers", "out"} & set(params)


def test_the_curve_has_one_point_a_tenth_of_a_millimetre(
    client: MlflowClient, run: RunFolder
) -> None:
    history = client.get_metric_history(track_run(run, "a"), "indoor.share_within")
    rows = run.items().query("scene == 'indoor'")
    assert [point.step for point in history] == list(range(51))
    at_1_mm = np.abs(CURVE_MM - 1.0).argmin()
    expected = np.mean([curve[at_1_mm] for curve in rows["curve"]])
    assert history[10].value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("s3://lab/MICC", "s3://lab/MICC"),
        ("gs://lab/MICC", "gs://lab/MICC"),
        ("az://lab/MICC", "wasbs://lab@ours.blob.core.windows.net/MICC"),
        ("/lab/MICC", "/lab/MICC"),
    ],
)
def test_a_set_in_a_store_is_named_by_its_address(
    place: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "ours")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert resolve_dataset_source(_source(place)).to_dict()["uri"] == source


def test_dataset_and_artefacts(client: MlflowClient, run: RunFolder) -> None:
    run_id = track_run(run, "a")
    (dataset,) = client.get_run(run_id).inputs.dataset_inputs
    assert dataset.dataset.name == "micc"
    assert run.record().dataset_digest.startswith(dataset.dataset.digest)
    names = {item.path for item in client.list_artifacts(run_id)}
    assert names >= {"run.json", "summary.json", "items.csv", "report.html", "pictures"}
    table = pd.read_csv(client.download_artifacts(run_id, "items.csv"))
    assert table["mean_mm"].notna().sum() == len(table) - 1


def test_a_run_lasts_as_long_as_its_measurement(client: MlflowClient, tmp_path: Path) -> None:
    """MLflow's Duration is of what was measured, not of writing it down."""
    run = example_run(tmp_path / "a")
    began, ended = "2026-01-02T03:04:05+00:00", "2026-01-02T03:14:05+00:00"
    run.write_record(replace(run.record(), started=began, ended=ended))
    for _ in range(2):
        info = client.get_run(track_run(run, "a")).info
        assert (info.start_time, info.end_time) == (1767323045000, 1767323645000)
    # Its tags are those of any run: who made it, with what.
    assert client.get_run(info.run_id).data.tags.keys() >= {"mlflow.user", "mlflow.source.name"}
    run.write_record(replace(run.record(), ended="2026-01-02"))  # a damaged clock: before it began
    assert client.get_run(track_run(run, "a")).info.status == "FINISHED"


def test_tracking_again_updates_the_same_run(client: MlflowClient, run: RunFolder) -> None:
    first = track_run(run, "a")
    assert track_run(run, "a") == first
    assert len(client.get_metric_history(first, "indoor.share_within")) == 51
    better = {s: replace(c, mean_mm=1.0) for s, c in run.summary().items()}
    run.write_summary(better)
    run.report.write_text("new")
    assert track_run(run, "b") == first
    data = client.get_run(first).data
    assert all(data.metrics[f"{scene}.mean_mm"] == 1.0 for scene in SCENES)
    assert Path(client.download_artifacts(first, "report.html")).read_text() == "new"
    assert client.get_run(first).info.status == "FINISHED"


def test_a_run_that_a_killed_command_began_is_taken_up(
    client: MlflowClient, run: RunFolder
) -> None:
    """It died between MLflow's begin and its own note of the id."""
    kept = {"tracking_uri": mlflow.get_tracking_uri(), "key": "of this folder"}
    (run.root / KEPT_ID).write_text(json.dumps(kept))
    experiment = client.get_experiment_by_name("tests")
    assert experiment is not None
    begun = client.create_run(experiment.experiment_id, tags={"folder_key": "of this folder"})
    assert track_run(run, "a") == begun.info.run_id
    assert tracking_differences(run.root, sqlite_file(tracking_uri())) == []


def test_a_deleted_run_is_logged_anew(client: MlflowClient, run: RunFolder) -> None:
    first = track_run(run, "a")
    client.delete_run(first)
    assert track_run(run, "a") != first


def test_another_store_gets_a_run_of_its_own(
    client: MlflowClient,
    store: Path,
    run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = track_run(run, "a")
    database = Path(shutil.copy(store / "mlflow.db", tmp_path / "own.db"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    connect("tests")
    second = track_run(run, "a")
    assert second != first and mlflow.get_run(second).info.status == "FINISHED"
    assert database.with_name(".own.db.lock").exists()


def test_an_unusable_store_is_a_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://there")
    with pytest.raises(FacebenchError, match="MLflow at nonsense://there"):
        connect("tests")


def test_sqlite_addresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert sqlite_file(tracking_uri()) == tmp_path / "mlflow.db"
    assert sqlite_file("sqlite:///sub/own.db?timeout=5") == tmp_path / "sub" / "own.db"
    assert sqlite_file("http://somewhere:5000") is None


def test_a_run_is_opened_again_by_its_id(client: MlflowClient, run: RunFolder) -> None:
    run_id = track_run(run, "a")
    with open_runs([run_id, str(run.root)]) as (fetched, folder):
        refuse_unfinished(fetched)
        assert (place_of(fetched), place_of(folder)) == (run_id, str(run.root))
        assert fetched.record() == folder.record()
        pd.testing.assert_frame_equal(fetched.items(), folder.items(), check_exact=True)
        scratch = fetched.root
    assert not scratch.exists() and run.root.exists()


@pytest.mark.parametrize("missing", ["id", "file"])
def test_what_an_id_lacks_is_told(client: MlflowClient, run: RunFolder, missing: str) -> None:
    run_id = "0" * 32
    if missing == "file":
        experiment = client.get_experiment_by_name("tests")
        assert experiment is not None
        run_id = client.create_run(experiment.experiment_id).info.run_id
    said = "not found" if missing == "id" else "holds no run.json, summary.json, items.parquet"
    with pytest.raises(FacebenchError, match=said), open_runs([run_id]):
        pass


def test_a_training_and_the_runs_of_its_weights_share_a_model(
    client: MlflowClient, run: RunFolder, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    with mlflow.start_run(run_name="training: of it") as active:
        training = active.info.run_id
        log_trained_model(training, "a training/1", weights)
        log_trained_model(training, "a training/1", weights)  # taken up again
    run.write_record(replace(run.record(), checkpoint_digest=digest))
    measured = client.get_run(track_run(run, "a"))
    (made,) = client.get_run(training).outputs.model_outputs
    (used,) = measured.inputs.model_inputs
    assert made.model_id == used.model_id
    assert measured.data.tags["training_run"] == training
    model = client.get_logged_model(used.model_id)
    values = {metric.key: (metric.value, metric.dataset_name) for metric in model.metrics}
    indoor = run.summary()["indoor"].mean_mm
    assert values["error_mm/indoor"] == (indoor, "micc") and "part_mm/nose" in values


def test_a_method_without_a_training_is_one_model_of_all_its_runs(
    client: MlflowClient, tmp_path: Path
) -> None:
    runs = [example_run(tmp_path / name, "theirs", method_digest="e" * 64) for name in "ab"]
    found = [client.get_run(track_run(run, run.root.name)) for run in runs]
    first, second = (run.inputs.model_inputs[0].model_id for run in found)
    assert first == second and all("training_run" not in run.data.tags for run in found)
