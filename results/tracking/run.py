"""MLflow's runs: the one of a folder, the model it measures, and runs opened as folders.

A folder has one run, also when the command that logged it was killed. A training makes a model, and
every run of its weights points at it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...errors import FacebenchError, nearest_name, some
from ...recon.files.text import read_json, write_json
from ..run.folder import RunFolder
from ..run.record import RunRecord
from ..tables.basis import MLFLOW_ID
from .store import be_quiet, redact, sqlite_file, store_errors_as_message, tracking_uri

if TYPE_CHECKING:
    from mlflow import ActiveRun, MlflowClient
    from mlflow.entities import LoggedModel, Metric

KEPT_ID = "mlflow.json"
_KEY = "folder_key"
_NOT_GIVEN = ("", "None", "[]", "()")
"""Parameters without a value."""

WEIGHTS, METHOD = "checkpoint_digest", "method_digest"
"""Tags of a model: of the file of its weights, and of everything that makes its faces."""
TRAINED, KIND = "trained_here", "facebench method"

FILES = ("run.json", "summary.json", "items.parquet")
"""What a run must have logged to be compared."""
OLD_NAMES = {"items.parquet": "subjects.parquet"}
"""What version 1 of run folders called a file."""


Span = tuple[int, int]
"""When something began and ended, milliseconds since 1970 in UTC."""


@contextmanager
def run_of(folder: Path, name: str, span: Span | None = None) -> Iterator[ActiveRun]:
    """The folder's run in the store of the last `connect`: begun, or taken up again.

    A key is kept in the folder before the run is begun with it, so that a run whose begin nobody
    lived to write down is found again.

    Args:
        folder: whose run it is.
        name: as MLflow shows it.
        span: of what is logged; None where that is not known, and MLflow shows the logging's.

    Raises:
        FacebenchError: the store fails under way, its disk being full for one.
    """
    import mlflow

    kept = _kept_state(folder, mlflow.get_tracking_uri())
    path = folder / KEPT_ID
    # Before the run is begun: a kill in between then leaves a key to find it by.
    write_json(path, kept)
    hint = f"the folder is whole; 'facebench report {folder} --track' logs it later"
    with store_errors_as_message(f"MLflow could not keep {folder}", hint):
        run_id = _living_id(kept.get("run_id")) or _find_begun(kept["key"])
        run_id = run_id or _begin(name, kept["key"], span)
        with mlflow.start_run(run_id, run_name=name, tags={_KEY: kept["key"]}) as active:
            # At once: searching by the key costs a server a look through all runs.
            write_json(path, kept | {"run_id": active.info.run_id})
            yield active
        _set_end(active, span)
    # Only now: a command killed before this logs the whole again.
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
    new = {key: value for key, value in parameters.items() if key not in present}
    # Defaults would stand between the options in which runs differ.
    mlflow.log_params({key: value for key, value in new.items() if str(value) not in _NOT_GIVEN})


def log_trained_model(run_id: str, name: str, weights: Path) -> None:
    """Make the model that the active run has trained, once; its tag names the file of weights."""
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    # A server older than MLflow 3 knows no models: everything else of the run is there.
    with suppress(MlflowException):
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        model = _find(WEIGHTS, digest) or _make(name, {WEIGHTS: digest, TRAINED: "true"}, run_id)
        MlflowClient().set_tag(run_id, WEIGHTS, digest)
        MlflowClient().log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])


def log_measured_model(run_id: str, record: RunRecord, name: str) -> str | None:
    """Log which model the active run measures; the model's id, None where there are none.

    It is the one whose training stands in the store, by the digest of its weights, else one that is
    made for the method.
    """
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModelInput
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        model = _find(WEIGHTS, record.checkpoint_digest) or _find(METHOD, record.method_digest)
        tags = {METHOD: record.method_digest, WEIGHTS: record.checkpoint_digest}
        model = model or _make(name, {key: value for key, value in tags.items() if value}, None)
        MlflowClient().log_inputs(run_id, models=[LoggedModelInput(model.model_id)])
        # One that no training made is said to come from the first run that measured it.
        if model.source_run_id and TRAINED in model.tags:
            MlflowClient().set_tag(run_id, "training_run", model.source_run_id)
        return str(model.model_id)
    return None


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
    with store_errors_as_message(failed, "check the id and MLFLOW_TRACKING_URI"):
        client = MlflowClient(uri)
        kept = {item.path for item in client.list_artifacts(run_id)}
        # The name of version 1 stands in where only that is kept; what is missing has today's.
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


def _begin(name: str, key: str, span: Span | None) -> str | None:
    """The id of a new run that began when the span did; None without one."""
    if span is None:
        return None
    import mlflow
    from mlflow.tracking.context.registry import resolve_tags

    # `mlflow.start_run` knows no other time than now; the tags are those that it would set.
    client, experiment = mlflow.MlflowClient(), mlflow.tracking.fluent._get_experiment_id()
    tags = resolve_tags({_KEY: key})
    return str(client.create_run(str(experiment), span[0], tags, name).info.run_id)


def _set_end(active: ActiveRun, span: Span | None) -> None:
    """Let the run end when the span did, unless it was begun later, by an older version."""
    from mlflow import MlflowClient

    if span is not None and (active.info.start_time or 0) <= span[1]:
        MlflowClient().set_terminated(active.info.run_id, end_time=span[1])


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


def _find(tag: str, digest: str) -> LoggedModel | None:
    """The first model with a digest, in whatever experiment."""
    import mlflow

    if not digest:
        return None
    experiments = [str(one.experiment_id) for one in mlflow.search_experiments()]
    found = mlflow.search_logged_models(
        experiments,
        f"tags.{tag} = '{digest}'",
        max_results=1,
        order_by=[{"field_name": "creation_timestamp", "ascending": True}],
        output_format="list",
    )
    return found[0] if found else None


def _make(name: str, tags: dict[str, str], run_id: str | None) -> LoggedModel:
    import mlflow

    # MLflow's names of models have none of these marks.
    plain = "".join("-" if mark in "/:.%\"'" else mark for mark in name)
    return mlflow.create_external_model(plain, run_id, tags, model_type=KIND)


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
