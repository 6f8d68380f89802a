"""`facebench train` as a user calls it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from same_results import tracking_differences
from training_faces import SETTINGS, write_training_faces

from facebench.cli.train import command
from facebench.errors import FacebenchError
from facebench.recon.training.loop import TrainingFolder
from facebench.recon.training.shards import FaceShards


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_faces(tmp_path_factory.mktemp("train-command"))


def run(faces: Path, out: Path, *arguments: str) -> Result:
    settings = [f"--set={setting}" for setting in SETTINGS]
    model = str(faces.parent / "model.npz")
    fixed = ["--data", str(faces), "--model", model, "--recipe", "ours-embedded", "--out", str(out)]
    return CliRunner().invoke(command, [*fixed, *settings, *arguments])


def test_trains_keeps_and_says_when_it_is_done(
    faces: Path, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_store, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    out = tmp_path / "out"
    first = run(faces, out, "--validation", str(faces), "--json")
    assert first.exit_code == 0, first.output
    result = json.loads(first.stdout)
    assert result["steps"] == 6
    assert result["log"]["pixel"] > 0
    assert result["validation"]["mean_face_mm"] > 0
    assert {path.name for path in out.iterdir()} >= {
        "checkpoint.pt",
        "weights.pt",
        "log.csv",
        "validation.csv",
        "curves.png",
        "fits.png",
    }
    assert _logged_steps(tmp_path / "mlflow.db") == [1, 2, 3, 4, 5, 6]
    _check_run(MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}"), faces, out)
    assert "6 steps of 4 photographs." in first.stderr
    # Not "Resuming", and not "nothing to do": what lies there is another training.
    for other in (["--set", "loss.weights.pixel=9"], ["--seed", "1"], ["--limit", "4"]):
        for length in (["--steps", "8"], ["--minutes", "0.03"]):
            refused = run(faces, out, *other, *length)
            assert "is a training with another" in str(refused.exception)
            assert not (out / "budget.json").exists(), "not even tried"
            assert other[0] == "--limit" or not refused.output
    again = run(faces, out, "--resume")
    assert again.exit_code == 0
    assert "already trained to step 6" in again.output
    kept = json.loads((out / "mlflow.json").read_text())
    (out / "mlflow.json").write_text(json.dumps(kept | {"logged": False}))  # killed as it logged
    logged = run(faces, out, "--steps", "4").stderr
    assert "already trained" not in logged and "-2 steps" not in logged
    assert tracking_differences(out, tmp_path / "mlflow.db") == []
    assert _logged_steps(tmp_path / "mlflow.db") == [1, 2, 3, 4, 5, 6]


def test_minutes_become_steps_that_are_kept(faces: Path, tmp_path: Path) -> None:
    first = run(faces, tmp_path / "out", "--minutes", "0.03", "--json")
    assert first.exit_code == 0, first.output
    kept = json.loads((tmp_path / "out" / "budget.json").read_text())
    steps = json.loads(first.stdout)["steps"]
    # Batches of four: what the speed allows, no step more.
    assert steps == kept["steps"] == int(1.8 * kept["images_per_s"] / 4)
    assert f"0.03 minutes are {steps} steps" in first.stderr
    assert not list((tmp_path / "out").glob(".trial-*"))
    # Not measured again: a busy machine would end the training elsewhere.
    again = run(faces, tmp_path / "out", "--minutes", "0.03")
    assert f"already trained to step {steps}" in again.output
    assert json.loads((tmp_path / "out" / "budget.json").read_text()) == kept
    short = run(faces, tmp_path / "short", "--minutes", "1e-9")
    assert "leave no step" in str(short.exception)
    both = run(faces, tmp_path / "out", "--minutes", "1", "--steps", "2")
    assert both.exit_code == 2 and "both say how long" in both.output


def test_a_mistake_is_told_in_one_line(faces: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (["--recipe", "our"], "did you mean 'ours'"),
        (["--set", "training.stepz=5"], "did you mean 'steps'"),
        (["--data", str(tmp_path)], "no training shards"),
        (["--model", "embedded"], "were made with face model"),
        (["--resume"], "leave out --resume"),
        (["--start", "embedded"], "embedded/weights.pt was trained with face model"),
    ):
        result = run(faces, tmp_path / "out", *arguments)
        assert isinstance(result.exception, FacebenchError), result.output
        assert message in str(result.exception)
        assert "\n" not in str(result.exception)


def test_help_ends_in_examples() -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    assert "Examples:" in text


def _check_run(client: MlflowClient, faces: Path, out: Path) -> None:
    """It ended with its weights, took what its steps took, and says which photographs it saw."""
    run = client.get_run(json.loads((out / "mlflow.json").read_text())["run_id"])
    assert run.info.end_time == round(1000 * (out / "weights.pt").stat().st_mtime)
    log = TrainingFolder(out).read(out / "log.csv")
    assert run.info.end_time - run.info.start_time == pytest.approx(
        sum(4000 / row["images_per_s"] for row in log), abs=2
    )
    # Of the same photographs MLflow keeps one entry, with what it was used for first.
    (used,) = run.inputs.dataset_inputs
    assert used.tags[0].value == "training"
    assert FaceShards(faces).ids_digest().startswith(used.dataset.digest)


def _logged_steps(database: Path) -> list[int]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT step FROM metrics WHERE key = 'landmark' ORDER BY step")
        return [step for (step,) in rows]
