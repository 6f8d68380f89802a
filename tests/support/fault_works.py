"""Small trainings and benchmarks to be killed: their data, their commands, their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from same_results import benchmark_differences, training_differences
from small_micc import clip_path, write_random_weights, write_subject
from training_faces import SETTINGS, write_training_faces
from victims import Command, Started

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
    """

    name: str
    words: tuple[str, ...]
    differences: Callable[[Path, Path], list[str]]
    environment: dict[str, str]
    log: Path
    launch: Callable[[Sequence[str], dict[str, str], Path], Command] = Started

    def start(self, out: Path, *more: str, **environment: str) -> Command:
        """The command, with results in `out`."""
        return self.launch(
            [*self.words, "--out", str(out), *more], self.environment | environment, self.log
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
    )


def benchmark(folder: Path, subjects: int = 2, frames: int = 80) -> Work:
    """A benchmark of a few seconds, on a data set that is made where it is not there yet."""
    data, weights = folder / "data", folder / "weights.pt"
    if not data.is_dir():
        _write_data(data, weights, subjects, frames)
    words = ["micc", "--data", str(data), "--checkpoint", str(weights), "--workers", "1"]
    words += ["--scenes", ",".join(SCENES)]
    return Work(
        "micc", tuple(words), benchmark_differences, _environment(folder), folder / "said.log"
    )


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
