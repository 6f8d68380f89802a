"""What an MLflow store holds, as places of its web interface; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ...errors import FacebenchError
from .comparison import KIND, RANK
from .run import kept_id
from .store import be_quiet, sqlite_file, store_errors_told

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run
    from mlflow.store.entities import PagedList

_AT_HAND = "set MLFLOW_TRACKING_URI, or work where 'facebench micc' was run"
_PARENT = "tags.mlflow.parentRunId"


@dataclass(frozen=True)
class Page:
    """A page of the interface.

    Attributes:
        title: what it shows.
        path: after the server's address.
    """

    title: str
    path: str


def open_store(uri: str) -> MlflowClient:
    """A client of a store that is there; none is made.

    Raises:
        FacebenchError: there is none, or it cannot be used.
    """
    database = sqlite_file(uri)
    if database is not None and not database.is_file():
        raise FacebenchError(f"there is no database {database}", _AT_HAND)
    be_quiet()
    from mlflow import MlflowClient

    with store_errors_told(f"MLflow at {uri} cannot be used", _AT_HAND):
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


def pages(client: MlflowClient) -> list[Page]:
    """Each experiment that has runs, then the latest comparison.

    Raises:
        FacebenchError: there is no run.
    """
    counted = {one: _runs(client, one) for one in client.search_experiments()}
    found = [
        Page(f"{one.name}: {_count(runs)}", f"/#/experiments/{one.experiment_id}/runs")
        for one, runs in counted.items()
        if runs
    ]
    if not found:
        raise FacebenchError(f"{client.tracking_uri} holds no run", _AT_HAND)
    newest = next((r for runs in counted.values() for r in runs if _is_comparison(r)), None)
    return found + ([_children_page(client, newest)] if newest else [])


def compare_page(client: MlflowClient, places: Sequence[str], uri: str) -> Page:
    """The page that compares runs.

    Args:
        client: of the store.
        places: run folders, or ids of runs.
        uri: the store's address, as it was when the folders were logged.

    Raises:
        FacebenchError: one of them is not in the store.
    """
    return _page([_found(client, place, uri) for place in places])


def _found(client: MlflowClient, place: str, uri: str) -> Run:
    from mlflow.exceptions import MlflowException

    folder = Path(place)
    if folder.is_dir() and kept_id(folder, uri) is None:
        raise FacebenchError(f"{folder} was not logged to {uri}", "finish the run, or log it there")
    try:
        return client.get_run(kept_id(folder, uri) if folder.is_dir() else place)
    except MlflowException as error:
        raise FacebenchError(f"{place}: neither a run folder nor an MLflow run of {uri}") from error


def _is_comparison(run: Run) -> bool:
    return bool(run.data.tags.get("kind") == KIND)


def _runs(client: MlflowClient, experiment: Experiment) -> PagedList[Run]:
    """The newest first, as many as come at once."""
    return client.search_runs([experiment.experiment_id])


def _count(runs: PagedList[Run]) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs)}{'+' if runs.token else ''} runs"


def _children_page(client: MlflowClient, parent: Run) -> Page:
    below = f"{_PARENT} = '{parent.info.run_id}'"
    runs = client.search_runs([parent.info.experiment_id], below)
    return _page(sorted(runs, key=lambda run: int(run.data.tags.get(RANK, 0))))


def _page(runs: Sequence[Run]) -> Page:
    """MLflow's compare view."""
    ids = json.dumps([run.info.run_id for run in runs], separators=(",", ":"))
    of = sorted({run.info.experiment_id for run in runs})
    experiments = json.dumps(of, separators=(",", ":"))
    names = ", ".join(run.info.run_name for run in runs)
    path = f"/#/compare-runs?runs={quote(ids, safe=',')}&experiments={quote(experiments, safe=',')}"
    return Page(f"compare {names}", path)
