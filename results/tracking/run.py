"""The one MLflow run of a folder, also when the command that logged it was killed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...recon.files.text import read_json
from ..files import write_json
from .store import redact, store_errors_told

if TYPE_CHECKING:
    from mlflow import ActiveRun, MlflowClient
    from mlflow.entities import Metric

KEPT_ID = "mlflow.json"
_KEY = "folder_key"


@contextmanager
def run_of(folder: Path, name: str) -> Iterator[ActiveRun]:
    """The folder's run in the store of the last `connect`: begun, or taken up again.

    A key is kept in the folder before the run is begun with it, so that a run whose begin nobody
    lived to write down is found again.

    Raises:
        FacebenchError: the store fails under way, its disk being full for one.
    """
    import mlflow

    kept = _kept_state(folder, mlflow.get_tracking_uri())
    path = folder / KEPT_ID
    # Before the run is begun: a kill in between then leaves a key to find it by.
    write_json(path, kept)
    hint = f"the folder is whole; 'facebench report {folder} --track' logs it later"
    with store_errors_told(f"MLflow could not keep {folder}", hint):
        run_id = _living_id(kept.get("run_id")) or _find_begun(kept["key"])
        with mlflow.start_run(run_id, run_name=name, tags={_KEY: kept["key"]}) as active:
            # At once: searching by the key costs a server a look through all runs.
            write_json(path, kept | {"run_id": active.info.run_id})
            yield active
    # Only now: whoever is killed before this logs the whole again.
    write_json(path, kept | {"run_id": active.info.run_id, "logged": True})


@contextmanager
def run_of_key(key: str, name: str, parent: str | None = None) -> Iterator[ActiveRun]:
    """The run that was begun with this key in the experiment of the last `connect`, else a new one.

    Args:
        key: equal for what is the same run.
        name: as MLflow shows it.
        parent: the id of the run that a new one is a child of.
    """
    import mlflow

    with mlflow.start_run(
        _find_begun(key), run_name=name, nested=True, parent_run_id=parent, tags={_KEY: key}
    ) as active:
        yield active


def kept_id(folder: Path, uri: str) -> str | None:
    """The id of the run that a folder was logged to in the store of this address."""
    kept = _read(folder / KEPT_ID)
    return kept.get("run_id") if _is_of(kept, uri) else None


def is_logged(folder: Path) -> bool:
    """Whether all of the folder has been logged once."""
    return bool(_read(folder / KEPT_ID).get("logged"))


def log_changed(run_id: str, metrics: Sequence[Metric]) -> None:
    """Log the metrics whose value is not already the last at its step, so that reruns add none."""
    from mlflow import MlflowClient

    client = MlflowClient()
    known = _last_values(client, run_id, {metric.key for metric in metrics})
    changed = [m for m in metrics if known.get((m.key, m.step)) != m.value]
    # MLflow takes at most a thousand in a batch.
    for start in range(0, len(changed), 1000):
        client.log_batch(run_id, metrics=changed[start : start + 1000])


def log_new_parameters(active: ActiveRun, parameters: dict[str, Any]) -> None:
    """MLflow's parameters cannot change: those of the first time stay."""
    import mlflow

    present = active.data.params
    mlflow.log_params({key: value for key, value in parameters.items() if key not in present})


def _kept_state(folder: Path, uri: str) -> dict[str, Any]:
    """What the folder knows of its run in this store; else a fresh key."""
    found = _read(folder / KEPT_ID)
    kept = found if _is_of(found, uri) else {}
    # A run's folder is handed on: the address stands in it without user and password.
    return {"key": uuid4().hex} | kept | {"tracking_uri": redact(uri)}


def _is_of(kept: dict[str, Any], uri: str) -> bool:
    return redact(str(kept.get("tracking_uri", ""))) == redact(uri)


def _read(path: Path) -> dict[str, Any]:
    """What is kept in a file; a damaged one counts as none, and the run is logged again."""
    try:
        values = read_json(path)
    except (OSError, ValueError):
        return {}
    texts = ("tracking_uri", "key", "run_id")
    if not isinstance(values, dict) or not all(type(values.get(k, "")) is str for k in texts):
        return {}
    return values


def _living_id(run_id: str | None) -> str | None:
    """The id, if the store still has that run."""
    import mlflow
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    try:
        found = mlflow.get_run(run_id)
    except MlflowException:
        return None
    # A run that somebody deleted in the interface takes no more values.
    return run_id if found.info.lifecycle_stage == "active" else None


def _find_begun(key: str) -> str | None:
    """The id of a run that was begun with this key."""
    import mlflow

    found = mlflow.search_runs(filter_string=f"tags.{_KEY} = '{key}'", output_format="list")
    return str(found[0].info.run_id) if found else None


def _last_values(client: MlflowClient, run_id: str, keys: set[str]) -> dict[tuple[str, int], float]:
    logged = client.get_run(run_id).data.metrics
    histories = (client.get_metric_history(run_id, key) for key in keys if key in logged)
    points = (point for history in histories for point in history)
    # A store keeps every value ever logged at a step; the latest is what it shows.
    ordered = sorted(points, key=lambda point: point.timestamp)
    return {(point.key, point.step): point.value for point in ordered}
