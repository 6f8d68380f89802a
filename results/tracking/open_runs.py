"""Runs as people name them: a folder, or the id of an MLflow run whose files are fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ...errors import FacebenchError, nearest_name, some
from ..run.folder import RunFolder
from ..tables.basis import MLFLOW_ID
from .store import be_quiet, redact, sqlite_file, store_errors_told, tracking_uri

FILES = ("run.json", "summary.json", "items.parquet")
"""What a run must have logged to be compared."""
OLD_NAMES = {"items.parquet": "subjects.parquet"}
"""What version 1 of run folders called a file."""


@contextmanager
def open_runs(places: Sequence[str]) -> Iterator[tuple[RunFolder, ...]]:
    """Run folders for places, in their order; what comes from MLflow is gone after the block.

    Args:
        places: folders, or ids of MLflow runs in the store of `tracking_uri`.

    Raises:
        FacebenchError: a place is neither, or what is there is no run of `facebench micc`.
    """
    with TemporaryDirectory(prefix="facebench-") as scratch:
        yield tuple(_open_run(place, Path(scratch)) for place in places)


def _open_run(place: str, scratch: Path) -> RunFolder:
    path = Path(place)
    if not path.is_dir() and MLFLOW_ID.fullmatch(place):
        path = scratch / place
        fetch_files(place, FILES, path)
    run = _existing_run(path)
    try:
        run.record()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FacebenchError(
            f"{path / 'run.json'} is not the record of a benchmark",
            "give a folder that 'facebench micc' wrote",
        ) from error
    return run


def _existing_run(path: Path) -> RunFolder:
    if path.is_dir():
        inside = sorted(item.parent.name for item in path.glob("*/run.json"))
        # The folder above the runs is the commonest mistake: its runs are named.
        if inside and not (path / "run.json").is_file():
            raise FacebenchError(f"{path} is not a run folder", f"it holds runs: {some(inside, 5)}")
        return RunFolder.existing(path)
    raise FacebenchError(f"{path}: neither a run folder nor an MLflow run's id", _nearest(path))


def _nearest(path: Path) -> str:
    beside = {str(item.parent): item for item in path.parent.glob("*/run.json")}
    near = nearest_name(str(path), beside, cutoff=0.5)
    return f"did you mean '{near}'?" if near else "give a folder that 'facebench micc' wrote"


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
    from mlflow import MlflowClient

    to.mkdir(parents=True, exist_ok=True)
    failed = f"MLflow run '{run_id}' cannot be fetched from {redact(uri)}"
    with store_errors_told(failed, "check the id and MLFLOW_TRACKING_URI"):
        client = MlflowClient(uri)
        kept = {item.path for item in client.list_artifacts(run_id)}
        # The name of version 1 stands in where only that is kept; what lacks is told by today's.
        found = {
            name: next((one for one in (name, OLD_NAMES.get(name)) if one in kept), None)
            for name in names
        }
        for kept_name in filter(None, found.values()):
            client.download_artifacts(run_id, kept_name, str(to))
    if missing := [name for name, kept_name in found.items() if kept_name is None]:
        raise FacebenchError(
            f"MLflow run '{run_id}' holds no {', '.join(missing)}",
            "give the id of a run that 'facebench micc' logged",
        )
