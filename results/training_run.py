"""What is kept of a training: its curves as a picture, and all of it in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..recon.training.folder import Row
from ..recon.training.job import TrainingJob
from .tracking import connect
from .training_curves import draw_curves

EXPERIMENT = "facebench-train"


def keep_training(job: TrainingJob) -> str:
    """Draw the curves of a finished training and log it to MLflow; the MLflow run's id."""
    folder = job.folder
    log, validation = folder.read(folder.log), folder.read(folder.validation)
    curves = draw_curves(log, validation, job.recipe.training.batch_size, job.out / "curves.png")
    pictures = [path for path in (curves, folder.fits) if path.is_file()]
    return _track(job, log, validation, pictures)


def _track(
    job: TrainingJob, log: Sequence[Row], validation: Sequence[Row], pictures: Sequence[Path]
) -> str:
    import mlflow

    connect(EXPERIMENT)
    with mlflow.start_run(run_name=job.out.name) as active:
        mlflow.log_params(_parameters(job))
        for row in (*log, *validation):
            values = {name: value for name, value in row.items() if name != "step"}
            mlflow.log_metrics(values, step=int(row["step"]))
        for path in (*pictures, job.folder.log):
            mlflow.log_artifact(str(path))
        for path in sorted((job.out / "pictures").glob("*.png")):
            mlflow.log_artifact(str(path), "pictures")
        run_id: str = active.info.run_id
    return run_id


def _parameters(job: TrainingJob) -> dict[str, Any]:
    settings = {"data": job.data, "model": job.model, "seed": job.seed, "limit": job.limit}
    return settings | dict(_flat(job.recipe.as_table()))


def _flat(table: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in table.items():
        inner = isinstance(value, Mapping)
        flat += _flat(value, f"{above}{name}.") if inner else [(f"{above}{name}", value)]
    return flat
