"""Files of MLflow runs, fetched back; nothing is written to the store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...errors import FacebenchError
from .store import be_quiet, sqlite_file, store_errors_told, tracking_uri


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
    be_quiet()
    # No bar for three small files.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    _fetch(uri, run_id, names, to)


def _fetch(uri: str, run_id: str, names: Sequence[str], to: Path) -> None:
    from mlflow import MlflowClient

    to.mkdir(parents=True, exist_ok=True)
    failed = f"MLflow run '{run_id}' cannot be fetched from {uri}"
    with store_errors_told(failed, "check the id and MLFLOW_TRACKING_URI"):
        client = MlflowClient(uri)
        kept = {item.path for item in client.list_artifacts(run_id)}
        for name in names:
            if name in kept:
                client.download_artifacts(run_id, name, str(to))
    if missing := [name for name in names if name not in kept]:
        raise FacebenchError(
            f"MLflow run '{run_id}' holds no {', '.join(missing)}",
            "give the id of a run that 'facebench micc' logged",
        )
