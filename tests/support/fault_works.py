"""Small commands to be killed: their data, their words, their results."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from object_store import ObjectStore, put, upload
from same_results import (
    audit_differences,
    benchmark_differences,
    table_differences,
    training_differences,
)
from small_micc import clip_path, write_random_weights, write_subject
from training_faces import SETTINGS, write_training_faces
from victims import ONLY_PREDICTORS, PRELOADED, Command, Started

from facebench.recon.face.crop import Box, write_boxes
from facebench.recon.morphable.load import load_model

SCENES = ("cooperative", "indoor")


@dataclass(frozen=True)
class Work:
    """A command to be killed.

    Attributes:
        name: of the work.
        words: the command without `--out`.
        differences: of two folders' results.
        environment: of the command.
        log: where it writes what it says.
        launch: how it is started.
        tracked: the folders below its own that are each a run of MLflow.
        clustered: whether it uses Ray.
        bucket: an address that results go to, or empty for folders.
    """

    name: str
    words: tuple[str, ...]
    differences: Callable[[Path, Path], list[str]]
    environment: dict[str, str]
    log: Path
    launch: Callable[[Sequence[str], dict[str, str], Path], Command] = Started
    tracked: tuple[str, ...] = ("",)
    clustered: bool = True
    bucket: str = ""

    def start(self, out: Path, *more: str, **environment: str) -> Command:
        """The command, with results in `out`."""
        place = f"{self.bucket}/{out.name}" if self.bucket else str(out)
        return self.launch(
            [*self.words, "--out", place, *more], self.environment | environment, self.log
        )


def training(folder: Path, steps: int, workers: int = 1) -> Work:
    """A training of a few seconds, on faces that are made where they are not there yet."""
    if not (folder / "faces").is_dir():
        write_training_faces(folder)
    settings = [f"--set={one}" for one in SETTINGS if not one.startswith("training.steps")]
    faces, model = str(folder / "faces"), str(folder / "model.npz")
    words = ["train", "--data", faces, "--validation", faces, "--model", model, "--threads", "1"]
    words += ["--recipe", "ours-embedded", *settings, "--steps", str(steps)]
    words += ["--workers", str(workers)]
    return Work(
        f"train, {workers} workers" if workers > 1 else "train",
        tuple(words),
        training_differences,
        _environment(folder),
        folder / "said.log",
        clustered=workers > 1,
    )


def benchmark(folder: Path, subjects: int = 2, frames: int = 80, workers: int = 1) -> Work:
    """A benchmark of a few seconds, on a data set that is made where it is not there yet.

    With no workers and few frames it does without Ray.
    """
    data, weights = _small_set(folder, subjects, frames)
    words = ["micc", "--data", str(data), "--checkpoint", str(weights)]
    words += ["--scenes", ",".join(SCENES), *(["--workers", str(workers)] if workers else [])]
    return Work(
        "micc",
        tuple(words),
        benchmark_differences,
        _environment(folder),
        folder / "said.log",
        clustered=workers > 0,
    )


def table(folder: Path) -> Work:
    """A table of two methods in this process, on the data of a benchmark."""
    data, weights = _small_set(folder, 2, 40)
    words = ["table1", "--data", str(data), "--scenes", SCENES[0], "--method", "mean-face"]
    words += ["--method", f"ours={weights}"]
    return Work(
        "table1",
        tuple(words),
        table_differences,
        _environment(folder),
        folder / "said.log",
        tracked=("mean-face", "ours"),
        clustered=False,
    )


def audit(folder: Path) -> Work:
    """An audit of two made people with two predictors, where it is forked; else with all."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ("audit", "--people", "2", "--protocols", "micc", "--workers", "1")
    log, few = folder / "said.log", {ONLY_PREDICTORS: "half,mean face"}
    return Work("audit", words, audit_differences, few, log, tracked=(), clustered=False)


def in_store(work: Work, store: ObjectStore) -> Work:
    """The same with all that it reads and writes in a bucket."""
    bucket, folder = store.new_bucket(), work.log.parent
    for name in ("data", "faces"):
        if (folder / name).is_dir():
            upload(folder / name, f"{bucket}/{name}")
    for name in ("weights.pt", "model.npz"):
        if (folder / name).is_file():
            put(f"{bucket}/{name}", (folder / name).read_bytes())
    words = tuple(word.replace(str(folder), bucket) for word in work.words)
    return replace(work, words=words, bucket=f"{bucket}/runs")


def connect_in(folder: Path, seconds: float | None) -> bool:
    """Let a process make MLflow's store in a folder; whether it had to be killed in time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    process = context.Process(target=_connect, args=(uri,))
    process.start()
    process.join(seconds)
    if process.exitcode is not None:
        assert process.exitcode == 0, "the store cannot be made"
        return False
    process.kill()
    process.join()
    return True


def _connect(uri: str) -> None:
    from facebench.results.tracking.store import connect

    os.environ["MLFLOW_TRACKING_URI"] = uri
    connect("micc")


def _small_set(folder: Path, subjects: int, frames: int) -> tuple[Path, Path]:
    data, weights = folder / "data", folder / "weights.pt"
    if not data.is_dir():
        _write_data(data, weights, subjects, frames)
    return data, weights


def _environment(folder: Path) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}


def _write_data(data: Path, weights: Path, subjects: int, frames: int) -> None:
    data.mkdir(parents=True)
    model = load_model("embedded")
    write_random_weights(weights, model)
    boxes = {number: Box(95, 75, 90, 95) for number in range(frames)}
    for subject in range(1, subjects + 1):
        write_subject(data, subject, model, SCENES, frames)
        for scene in SCENES:  # detection costs most and loses nothing
            write_boxes(clip_path(data, subject, scene).with_suffix(".boxes.csv"), boxes)
