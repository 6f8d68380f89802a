"""What is kept of a training: its curves as a picture, and all of it in MLflow."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bench.protocol.values import flatten
from ...recon.files.writing import atomic_write
from ...recon.training.methods.labels import label_minutes
from ...recon.training.methods.trainer import MODE
from ...recon.training.optimise import Row
from ...recon.training.run import TrainingJob
from ...recon.training.tasks.loop import open_photographs
from .benchmark import connect, log_dataset
from .run import Span, is_logged, log_changed, log_new_parameters, log_trained_model, run_of

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
    with run_of(job.out, job.out.name, _span(job, log)) as active:
        run_id: str = active.info.run_id
        settings = {"data": job.data, "model": job.model, "seed": job.seed, "limit": job.limit}
        log_new_parameters(active, settings | dict(flatten(job.recipe.as_table())))
        for place, context in ((job.data, "training"), (job.validation, "validation")):
            if place is not None:
                limit = job.limit if context == "training" else None
                digest = open_photographs(place, limit).ids_digest()
                log_dataset(place, place.name, digest, context)
        log_changed(run_id, _training_metrics([*log, *validation]))
        if (job.out / "weights.pt").is_file():
            log_trained_model(run_id, job.out.name, job.out / "weights.pt")
        for path in (*pictures, job.folder.log):
            mlflow.log_artifact(str(path))
        for path in sorted((job.out / "pictures").glob("*.png")):
            mlflow.log_artifact(str(path), "pictures")
    return run_id


def _span(job: TrainingJob, log: Sequence[Row]) -> Span | None:
    """The minutes that its tables count, up to when its weights were written."""
    if not job.folder.weights.is_file():
        return None
    ended = job.folder.weights.stat().st_mtime
    _, minutes = steps_and_minutes(log, job.recipe.training.batch_size)
    taken = 60.0 * (minutes[-1] + label_minutes(job.folder.labels))
    return round(1000 * (ended - taken)), round(1000 * ended)


def _training_metrics(rows: Sequence[Row]) -> list[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(name, value, now, int(row["step"]))
        for row in rows
        for name, value in row.items()
        if name != "step"
    ]


GROUPS = ("Loss", "Gradients", "Held-out faces", "Speed")
"""What curves tell of; each group stands below its heading."""

_GRADIENT, _CORRELATION, _MM = "gradient_", "_correlation", "_mm"
_SPEED = {"images_per_s": "images/s", "waiting": "share of waiting for input", "skipped": "skipped"}
_TITLES = {
    "landmark_px": "landmarks, px of 224",
    "nme_percent": "landmarks, % of the eyes' distance",
}
_LINES = {"shape_mm": "a person's mean", "shape_one_mm": "one photograph"}
_EACH_MODE = "correlation of each identity mode"
_STROKES = ("-", "--", ":", "-.")
_COLUMNS = 3
_WIDTH, _LEFT, _GAP, _PANEL = 7.0, 0.45, 0.5, (1.78, 0.95)
"""Inches: of the page, left of the first panel, between two, and of one."""
_ABOVE, _TITLE, _STEPS = 0.55, 0.2, 0.4
"""Inches: of a group's heading and minutes, of a panel's title, and of the steps below it."""
_POINTS = 7.0
"""Of every letter, at the size of print."""


@dataclass(frozen=True)
class Panel:
    """One small plot.

    Attributes:
        group: one of `GROUPS`.
        title: what is drawn, with its unit.
        steps: (N,) at which it was measured.
        lines: name and (N,) values of each line; NaN where it was not measured.
    """

    group: str
    title: str
    steps: Sequence[float]
    lines: Mapping[str, Sequence[float]]


def steps_and_minutes(log: Sequence[Row], batch_size: int) -> tuple[list[float], list[float]]:
    """Steps and the minutes of training until each, both from 0, as the log's speed has them.

    Time that a training stood still or validated between two lines is part of neither.
    """
    # From 0: the first line of a log comes after its steps.
    steps = [0.0, *(row["step"] for row in log)]
    taken = np.diff(steps) * batch_size
    speeds = np.array([row["images_per_s"] for row in log])
    return steps, [0.0, *np.cumsum(taken / speeds / 60.0).tolist()]


def draw_curves(log: Sequence[Row], validation: Sequence[Row], batch_size: int, path: Path) -> Path:
    """Loss terms, their gradients, measures on held-out faces, and speed, in panels by meaning.

    Steps run below every panel; above the first row of each group stand the minutes they took.
    """
    from matplotlib.figure import Figure

    steps, minutes = steps_and_minutes(log, batch_size)
    panels = [*_panels(log, "Loss"), *_panels(validation, "Held-out faces")]
    groups = [found for name in GROUPS if (found := [p for p in panels if p.group == name])]
    row_inches = _TITLE + _PANEL[1] + _STEPS
    heights = [_ABOVE + row_inches * -(-len(group) // _COLUMNS) for group in groups]
    height = sum(heights) or 1.0
    # Of the class, not of pyplot: trainings run where there is no screen. Placed by hand: layouts
    # of matplotlib measure every letter once more, for a second of a processor.
    figure = Figure((_WIDTH, height), dpi=200)
    for group, top in zip(groups, height - np.cumsum([0.0, *heights]), strict=False):
        place = {"x": 0.07 / _WIDTH, "y": (top - 0.07) / height, "verticalalignment": "top"}
        figure.text(s=group[0].group, fontsize=_POINTS + 2, fontweight="bold", **place)
        for number, panel in enumerate(group):
            row, column = divmod(number, _COLUMNS)
            left = _LEFT + column * (_PANEL[0] + _GAP)
            bottom = top - _ABOVE - (row + 1) * row_inches + _STEPS
            size = (_PANEL[0] / _WIDTH, _PANEL[1] / height)
            axis = figure.add_axes((left / _WIDTH, bottom / height, *size))
            _draw_panel(axis, panel)
            axis.set_xlim(0.0, steps[-1] or 1.0)
            if row == 0:
                _add_minutes(axis, steps, minutes)
    with atomic_write(path) as draft:
        figure.savefig(draft, format="png", metadata={"Software": None})
    return path


def _panels(rows: Sequence[Row], group: str) -> Iterator[Panel]:
    """A panel for each column, in this group unless its name has a meaning; one kind shares one."""
    # By the last line, which has every column that the training ended with.
    names = [name for name in (rows[-1] if rows else {}) if name != "step"]
    # No step left out is no curve.
    names = [name for name in names if name != "skipped" or any(row.get(name) for row in rows)]
    shared: dict[tuple[str, str], dict[str, list[float]]] = {}
    for name in names:
        of, title, line = _meaning(name, group)
        values = [row.get(name, math.nan) for row in rows]
        shared.setdefault((of, title), {})[line.replace("_", " ")] = values
    steps = [row["step"] for row in rows]
    for (of, title), lines in shared.items():
        yield Panel(of, title, steps, lines)


def _meaning(name: str, group: str) -> tuple[str, str, str]:
    """Group, panel and line of a column of the log or of the validation."""
    if name.startswith(_GRADIENT):
        return "Gradients", "norm of a weighted term's gradient", name.removeprefix(_GRADIENT)
    if name.startswith(MODE):
        return group, _EACH_MODE, name
    if name.endswith(_CORRELATION):
        return group, "correlation with the truth", name.removesuffix(_CORRELATION)
    if name.endswith(_MM):
        return group, "shape error, mm", _LINES.get(name, name.removesuffix(_MM))
    if name in _SPEED:
        return "Speed", _SPEED[name], name
    return group, _TITLES.get(name, name.replace("_", " ")), name


def _draw_panel(axis: Axes, panel: Panel) -> None:
    axis.set_title(panel.title, fontsize=_POINTS)
    axis.set_xlabel("steps", fontsize=_POINTS, labelpad=1)
    axis.tick_params(labelsize=_POINTS, length=2)
    if panel.title == _EACH_MODE:
        _draw_modes(axis, panel)
        return
    marker = "." if len(panel.steps) < 20 else None
    for (name, values), stroke in zip(panel.lines.items(), cycle(_STROKES), strict=False):
        (line,) = axis.plot(panel.steps, values, stroke, linewidth=1.0, label=name, marker=marker)
        line.set_clip_on(False)  # the last point is at the panel's edge, which would halve it
    if panel.group == "Gradients":
        # The group's only panel: beside it is room for the names.
        axis.legend(fontsize=_POINTS, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    elif len(panel.lines) > 1:
        # Room above the lines, by a name's share of the height: no corner is free of all curves.
        low, high = axis.get_ylim()
        axis.set_ylim(low, low + (high - low) / (1.0 - min(0.07 + 0.14 * len(panel.lines), 0.6)))
        axis.legend(fontsize=_POINTS - 1, frameon=False, loc="upper right", handlelength=2.5)
    if panel.group == "Gradients" and np.nanmin([*panel.lines.values()]) > 0:
        # Terms differ by powers of ten.
        axis.set_yscale("log")


def _add_minutes(axis: Axes, steps: Sequence[float], minutes: Sequence[float]) -> None:
    """Minutes of training along the upper edge."""
    from matplotlib.ticker import MaxNLocator

    if len(steps) < 2:
        return

    def at(values: Any) -> Any:
        return np.interp(values, steps, minutes)

    def back(values: Any) -> Any:
        return np.interp(values, minutes, steps)

    above = axis.secondary_xaxis("top", functions=(at, back))
    above.set_xlabel("minutes", fontsize=_POINTS, labelpad=2)
    # No tick beyond the end, where all minutes would be the last step.
    ticks = MaxNLocator(4).tick_values(0.0, minutes[-1])
    above.set_xticks([tick for tick in ticks if 0.0 <= tick <= minutes[-1]])
    above.tick_params(labelsize=_POINTS, length=2)


def _draw_modes(axis: Axes, panel: Panel) -> None:
    # A cell needs both its ends: one more edge than there are values.
    edges = [0.0, *panel.steps]
    values = np.array([*panel.lines.values()])
    colours = axis.pcolormesh(
        edges, np.arange(len(values) + 1) + 0.5, values, cmap="RdBu", vmin=-1.0, vmax=1.0
    )
    axis.invert_yaxis()
    axis.figure.colorbar(colours, ax=axis).ax.tick_params(labelsize=_POINTS, length=2)
