"""Training under Ray Train: in this process, on two workers, and after a kill."""

from __future__ import annotations

import logging.handlers
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from same_results import training_differences
from training_faces import small_recipe, write_training_faces

from facebench.distributed import train as training
from facebench.distributed.train import follow_log, train
from facebench.errors import FacebenchError
from facebench.recon.training.optimise import Row
from facebench.recon.training.run import TrainingJob

pytestmark = pytest.mark.usefixtures("ray_running")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_faces(tmp_path_factory.mktemp("ray-training"))


def job(faces: Path, out: Path, *settings: str) -> TrainingJob:
    model = str(faces.parent / "model.npz")
    return TrainingJob(faces, small_recipe(*settings), model, out, threads=1)


def test_one_worker_trains_in_this_process(faces: Path, tmp_path: Path) -> None:
    heard: list[Row] = []
    notes = logging.handlers.BufferingHandler(1000)
    logging.getLogger("ray").addHandler(notes)
    alone = job(faces, tmp_path)
    train(alone, workers=1, cluster=False, listen=heard.append)
    logging.getLogger("ray").removeHandler(notes)
    assert [note.getMessage() for note in notes.buffer] == []
    assert [row["step"] for row in heard] == [1, 2, 3, 4, 5, 6]
    assert alone.steps_done() == 6


def test_two_workers_train_together_and_survive_the_loss_of_one(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By relative paths, although Ray's workers stand in other folders."""
    home = faces.parent
    monkeypatch.chdir(home)
    heard: list[float] = []
    killed: list[int] = []

    def kill_one_worker(row: Row) -> None:
        heard.append(row["step"])
        if row["step"] >= 3 and not killed:
            killed.append(_kill_a_worker())

    recipe = small_recipe("training.steps=12")
    pair = TrainingJob(Path(faces.name), recipe, "model.npz", Path("pair"), threads=1)
    train(pair, workers=2, cluster=False, listen=kill_one_worker)
    assert killed
    assert heard == list(range(1, 13))
    assert [row["step"] for row in pair.folder.read(pair.folder.log)] == heard
    assert pair.steps_done() == 12
    assert pair.folder.weights.is_file()


def test_a_number_of_workers_that_cannot_share_is_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="cannot share batches of 4"):
        train(job(faces, tmp_path), workers=3, cluster=False, listen=lambda row: None)
    with pytest.raises(FacebenchError, match="at least 4 of 2 workers"):
        train(job(faces, tmp_path), 2, cluster=False, listen=lambda row: None, least_workers=4)


WILD = (
    "training.steps=40",
    "training.skipped_in_a_row=3",
    "optimiser.learning_rate=1e30",
    "optimiser.warmup_steps=0",
    "optimiser.gradient_limit=0",
)


def test_a_divergence_or_other_code_is_an_answer_of_a_worker_and_no_failure(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails Ray starts again: here as the only worker, below as two of Ray's."""
    alone = SimpleNamespace(get_world_rank=lambda: 0, get_world_size=lambda: 1)
    monkeypatch.setattr(training, "get_context", lambda: alone)
    monkeypatch.setattr(training, "get_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(training, "prepare_model", lambda network: network)
    table = job(faces, tmp_path, *WILD).as_table()
    for code, said in {"": "3 steps in a row", "another": "facebench is another"}.items():
        answer = training._train_in_group({"job": table, "folder": str(Path.cwd()), "code": code})
        assert answer is not None and said in answer[0]


@pytest.mark.skipif("FACEBENCH_SLOW" not in os.environ, reason="half a minute: FACEBENCH_SLOW=1")
def test_workers_that_diverge_together_are_not_started_again(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="3 steps in a row"):
        train(job(faces, tmp_path, *WILD), workers=2, cluster=False, listen=lambda row: None)
    kept = sorted(path.name[-11:] for path in tmp_path.glob("not-finite-*.pt"))
    assert kept == ["worker-0.pt", "worker-1.pt"]


def test_bad_input_is_told_before_workers_start(faces: Path, tmp_path: Path) -> None:
    asked, start = job(faces, tmp_path / "out"), time.monotonic()
    with pytest.raises(FacebenchError, match="no training shards"):
        train(replace(asked, data=tmp_path), workers=2, cluster=False, listen=lambda row: None)
    assert time.monotonic() - start < 5.0


def test_a_killed_driver_costs_no_more_than_one_interval_and_changes_nothing(
    faces: Path, tmp_path: Path
) -> None:
    whole, killed = (job(faces, tmp_path / name, "training.steps=20") for name in ("whole", "cut"))
    settings = [f"--set={one}" for one in ("training.steps=20", *_small_settings())]
    command = [sys.executable, "-m", "facebench", "train", "--data", str(faces), "--threads=1"]
    command += ["--model", whole.model, "--recipe", "ours-embedded", "--out", str(killed.out)]
    started = subprocess.Popen([*command, *settings], stderr=subprocess.DEVNULL)
    try:
        _wait_for(lambda: killed.steps_done() >= 4)
        with pytest.raises(FacebenchError, match="another command"), killed.folder.locked():
            pass
    finally:
        os.kill(started.pid, signal.SIGKILL)
        started.wait()
    logged, kept = killed.folder.read(killed.folder.log)[-1]["step"], killed.steps_done()
    assert logged - kept <= 2
    heard: list[Row] = []
    with killed.folder.locked():
        train(killed, workers=1, cluster=False, listen=heard.append)
    assert [row["step"] for row in heard] == list(range(kept + 1, 21))
    train(whole, workers=1, cluster=False, listen=lambda row: None)
    assert training_differences(whole.out, killed.out) == []


def test_lines_written_elsewhere_are_told_once_and_to_the_last(faces: Path, tmp_path: Path) -> None:
    folder, heard = job(faces, tmp_path).folder, list[float]()
    folder.append(folder.log, {"step": 1.0})
    with follow_log(folder, lambda row: heard.append(row["step"])):
        folder.append(folder.log, {"step": 2.0})
        time.sleep(0.7)
        folder.append(folder.log, {"step": 3.0})
    assert heard == [2.0, 3.0]


def _kill_a_worker() -> int:
    """End one of the processes that Ray Train started for this process."""
    mine = psutil.Process().children(recursive=True)
    victim = next(process for process in mine if "TrainWorker" in " ".join(process.cmdline()))
    victim.kill()
    return victim.pid


def _small_settings() -> tuple[str, ...]:
    from training_faces import SETTINGS

    return tuple(one for one in SETTINGS if not one.startswith("training.steps"))


def _wait_for(condition: object, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.05)
    pytest.fail("the training did not get that far")
