"""Files of MLflow runs, fetched back; nothing is written to the store."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import FacebenchError
from .tracking_store import sqlite_file, tracking_uri


def fetch_files(run_id: str, names: Sequence[str], to: Path) -> None:
    """Copy artefacts of an MLflow run into a folder, which is made.

    Raises:
        FacebenchError: there is no such store or run, or it lacks one of the files.
    """
    uri = tracking_uri()
    database = sqlite_file(uri)
    if database is not None and not database.is_file():
        raise FacebenchError(
            f"no folder and no MLflow run '{run_id}': there is no database {database}",
            "set MLFLOW_TRACKING_URI, or work where 'facebench micc' was run",
        )
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # No bar for three small files, and an answer within seconds when nobody serves.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    _fetch(uri, run_id, names, to)


def _fetch(uri: str, run_id: str, names: Sequence[str], to: Path) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    to.mkdir(parents=True, exist_ok=True)
    try:
        client = MlflowClient(uri)
        kept = {item.path for item in client.list_artifacts(run_id)}
        for name in names:
            if name in kept:
                client.download_artifacts(run_id, name, str(to))
    except (MlflowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FacebenchError(
            f"MLflow run '{run_id}' cannot be fetched from {uri}: {reason}",
            "check the id and MLFLOW_TRACKING_URI",
        ) from error
    if missing := [name for name in names if name not in kept]:
        raise FacebenchError(
            f"MLflow run '{run_id}' holds no {', '.join(missing)}",
            "give the id of a run that 'facebench micc' logged",
        )
