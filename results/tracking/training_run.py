"""What is kept of a training: its curves as a picture, and all of it in MLflow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...recon.training.folder import Row
from ...recon.training.job import TrainingJob
from .benchmark import connect
from .run import is_logged, log_changed, log_new_parameters, run_of
from .training_curves import draw_curves

if TYPE_CHECKING:
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
    return job.kept() and is_logged(job.out)


def _track(
    job: TrainingJob, log: Sequence[Row], validation: Sequence[Row], pictures: Sequence[Path]
) -> str:
    import mlflow

    connect(EXPERIMENT)
    with run_of(job.out, job.out.name) as active:
        run_id: str = active.info.run_id
        log_new_parameters(active, _parameters(job))
        log_changed(run_id, _metrics([*log, *validation]))
        for path in (*pictures, job.folder.log):
            mlflow.log_artifact(str(path))
        for path in sorted((job.out / "pictures").glob("*.png")):
            mlflow.log_artifact(str(path), "pictures")
    return run_id


def _metrics(rows: Sequence[Row]) -> list[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(name, value, now, int(row["step"]))
        for row in rows
        for name, value in row.items()
        if name != "step"
    ]


def _parameters(job: TrainingJob) -> dict[str, Any]:
    settings = {"data": job.data, "model": job.model, "seed": job.seed, "limit": job.limit}
    return settings | dict(_flat(job.recipe.as_table()))


def _flat(table: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in table.items():
        inner = isinstance(value, Mapping)
        flat += _flat(value, f"{above}{name}.") if inner else [(f"{above}{name}", value)]
    return flat
