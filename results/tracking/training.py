"""What is kept of a training: its curves as a picture, and all of it in MLflow."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bench.protocol.values import flatten
from ...recon.training.methods.validation import MODE
from ...recon.training.optimise import Row
from ...recon.training.run import TrainingJob
from ..files import atomic_write
from .benchmark import connect
from .models import log_trained_model
from .run import is_logged, log_changed, log_new_parameters, run_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from mlflow.entities import Metric


EXPERIMENT = "facebench-train"


def keep_training(job: TrainingJob) -> str:
    """Draw the curves of a finished training and log it to MLflow; the MLflow run's id."""
    folder = job.folder
    log, validation = folder.read(folder.log), folder.read(folder.validation)
    curves = draw_curves(log, validation, job.recipe.training.batch_size, job.out / "curves.png")
    pictures = [path for path in (curves, folder.fits) if path.is_file()]
    return _track(job, log, validation, pictures)


def is_kept(job: TrainingJob) -> bool:
    """Whether a finished training left all that it leaves, in its folder and in MLflow."""
    return job.is_complete() and is_logged(job.out)


def _track(
    job: TrainingJob, log: Sequence[Row], validation: Sequence[Row], pictures: Sequence[Path]
) -> str:
    import mlflow

    connect(EXPERIMENT)
    with run_of(job.out, job.out.name) as active:
        run_id: str = active.info.run_id
        log_new_parameters(active, _training_parameters(job))
        log_changed(run_id, _training_metrics([*log, *validation]))
        if (job.out / "weights.pt").is_file():
            log_trained_model(run_id, job.out.name, job.out / "weights.pt")
        for path in (*pictures, job.folder.log):
            mlflow.log_artifact(str(path))
        for path in sorted((job.out / "pictures").glob("*.png")):
            mlflow.log_artifact(str(path), "pictures")
    return run_id


def _training_metrics(rows: Sequence[Row]) -> list[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(name, value, now, int(row["step"]))
        for row in rows
        for name, value in row.items()
        if name != "step"
    ]


def _training_parameters(job: TrainingJob) -> dict[str, Any]:
    settings = {"data": job.data, "model": job.model, "seed": job.seed, "limit": job.limit}
    return settings | dict(flatten(job.recipe.as_table()))


_NOT_CURVES = ("step", "skipped", "images_per_s", "waiting")
_COLUMNS = 4


@dataclass(frozen=True)
class Curve:
    """One column of the log or of the validation.

    Attributes:
        name: the column's.
        minutes: (N,) of training before each value.
        values: (N,) NaN where it was not measured.
    """

    name: str
    minutes: Sequence[float]
    values: Sequence[float]


def training_minutes(log: Sequence[Row], batch_size: int) -> tuple[list[float], list[float]]:
    """Steps and the minutes of training until each, both from 0, as the log's speed has them.

    Time that a training stood still or validated between two lines is part of neither.
    """
    # From 0: the first line of a log comes after its steps.
    steps = [0.0, *(row["step"] for row in log)]
    taken = np.diff(steps) * batch_size
    speeds = np.array([row["images_per_s"] for row in log])
    return steps, [0.0, *np.cumsum(taken / speeds / 60.0).tolist()]


def draw_curves(log: Sequence[Row], validation: Sequence[Row], batch_size: int, path: Path) -> Path:
    """One small plot for every column of the log and of the validation, over training minutes.

    The correlations of the single identity coefficients share one plot, a line of colour each.
    """
    import matplotlib

    # Without a window: trainings run where there is no screen.
    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps, minutes = training_minutes(log, batch_size)
    curves = [c for rows in (log, validation) for c in _curves(rows, steps, minutes)]
    plain = [curve for curve in curves if not curve.name.startswith(MODE)]
    modes = [curve for curve in curves if curve.name.startswith(MODE)]
    plots = len(plain) + bool(modes)
    rows = max(1, math.ceil(plots / _COLUMNS))
    figure, axes = pyplot.subplots(
        rows, _COLUMNS, figsize=(4 * _COLUMNS, 2.8 * rows), squeeze=False, layout="constrained"
    )
    for axis, curve in zip(axes.flat, plain, strict=False):
        _draw_line(axis, curve)
    if modes:
        _draw_modes(axes.flat[len(plain)], modes)
    for axis in axes.flat[plots:]:
        axis.set_axis_off()
    figure.supxlabel("minutes of training", fontsize=9)
    with atomic_write(path) as draft:
        figure.savefig(draft, format="png", dpi=100)
    pyplot.close(figure)
    return path


def _curves(rows: Sequence[Row], steps: list[float], minutes: list[float]) -> list[Curve]:
    # By the last line, which has every column that the training ended with.
    names = [name for name in (rows[-1] if rows else {}) if name not in _NOT_CURVES]
    times = np.interp([row["step"] for row in rows], steps, minutes).tolist()
    return [Curve(name, times, [row.get(name, math.nan) for row in rows]) for name in names]


def _draw_line(axis: Axes, curve: Curve) -> None:
    axis.plot(curve.minutes, curve.values, linewidth=1.0)
    axis.set_title(curve.name.replace("_", " "), fontsize=9)
    axis.tick_params(labelsize=7)


def _draw_modes(axis: Axes, modes: Sequence[Curve]) -> None:
    # A cell needs both its ends: one more edge than there are values.
    edges = [0.0, *modes[0].minutes]
    values = np.array([mode.values for mode in modes])
    colours = axis.pcolormesh(
        edges, np.arange(len(modes) + 1) + 0.5, values, cmap="RdBu", vmin=-1.0, vmax=1.0
    )
    axis.set_title("correlation of each identity coefficient", fontsize=9)
    axis.tick_params(labelsize=7)
    axis.invert_yaxis()
    axis.figure.colorbar(colours, ax=axis).ax.tick_params(labelsize=7)
