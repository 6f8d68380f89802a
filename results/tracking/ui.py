"""MLflow's web interface: a server on this machine, and the pages of a store's runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

from ...errors import FacebenchError
from .benchmark import KIND, RANK
from .run import kept_id
from .store import be_quiet, redact, sqlite_file, store_errors_as_message

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.store.entities import PagedList


HOST = "127.0.0.1"
START_S = 180.0
END_S = 10.0

_ENVIRONMENT = {
    # 2 processes and 0.5 GB instead of 15 and 3.1 GB.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@contextmanager
def mlflow_server(store: str, port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve a store until the block is left; then no process of it is left either.

    Gives the address for a browser, and the process, the leader of its own group.

    Args:
        store: address of a database that is there.
        port: of 127.0.0.1; 0 takes one that is free.

    Raises:
        FacebenchError: the port is taken, or MLflow does not start.
    """
    port = _free_port(port)
    with TemporaryDirectory(prefix="facebench-ui-") as scratch:
        said = Path(scratch, "mlflow.log")
        process = _start_server(store, port, said)
        try:
            address = f"http://{HOST}:{port}"
            _wait(address, process, said)
            yield address, process
        finally:
            _end(process)


def _free_port(port: int) -> int:
    """The port, or a free one for 0."""
    try:
        return _bind_port(port)
    except OverflowError:
        raise FacebenchError(f"{port} is no port", "give one from 1024 to 65535") from None
    except PermissionError:
        raise FacebenchError(f"port {port} is not for everybody", _free_port_hint()) from None
    except OSError:
        raise FacebenchError(f"port {port} of {HOST} is taken", _free_port_hint()) from None


def _bind_port(port: int) -> int:
    with socket.socket() as probe:
        # As the server does: what an earlier one left waiting is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        number: int = probe.getsockname()[1]
    return number


def _free_port_hint() -> str:
    return f"--port {_bind_port(0)} is free"


def _start_server(store: str, port: int, said: Path) -> subprocess.Popen[bytes]:
    words = ["-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    with said.open("wb") as log:
        # A group of its own, so that Ctrl-C comes to this command alone, which then ends all of it.
        return subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # The address may hold a password: everybody can list a process's arguments, its
            # environment only who runs it.
            env={**os.environ, **_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": store},
            process_group=0,
        )


def _wait(address: str, process: subprocess.Popen[bytes], said: Path) -> None:
    end = time.monotonic() + START_S
    while not _answers(address):
        if process.poll() is not None or time.monotonic() > end:
            lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1] if lines else f"exit code {process.returncode}"
            raise FacebenchError(f"MLflow does not start: {redact(last)}")
        time.sleep(0.2)


def _answers(address: str) -> bool:
    # A proxy of the environment knows nothing of this machine.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{address}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole group, first asked and then made to."""
    for wish in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, wish)
        except ProcessLookupError:
            return
        if _is_gone(process):
            return


def _is_gone(process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + END_S
    while time.monotonic() < end:
        process.poll()  # else the leader stays as a zombie, and the group with it
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


_AT_HAND = "set MLFLOW_TRACKING_URI, or work where 'facebench micc' was run"
CHARTS = "?compareRunsMode=CHART"
"""Of an experiment's page: bars of its runs side by side, not their bare list."""
_PARENT = "tags.mlflow.parentRunId"


Page = tuple[str, str]
"""What a page of the interface shows, and its path after the server's address."""


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

    with store_errors_as_message(f"MLflow at {redact(uri)} cannot be used", _AT_HAND):
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


def pages(client: MlflowClient) -> list[Page]:
    """Each experiment that has runs, then the latest comparison.

    Raises:
        FacebenchError: there is no run.
    """
    # Of each the newest first, as many as come at once.
    experiments = client.search_experiments()
    counted = {one: client.search_runs([one.experiment_id]) for one in experiments}
    found = [
        (f"{one.name}: {_count(runs)}", f"/#/experiments/{one.experiment_id}/runs{CHARTS}")
        for one, runs in counted.items()
        if runs
    ]
    if not found:
        raise FacebenchError(f"{redact(client.tracking_uri)} holds no run", _AT_HAND)
    every = (run for runs in counted.values() for run in runs)
    newest = next((run for run in every if run.data.tags.get("kind") == KIND), None)
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
    return _page([_find_run(client, place, uri) for place in places])


def _find_run(client: MlflowClient, place: str, uri: str) -> Run:
    from mlflow.exceptions import MlflowException

    folder = Path(place)
    if folder.is_dir() and kept_id(folder, uri) is None:
        advice = f"finish the run, or log it: facebench report {folder} --track"
        raise FacebenchError(f"{folder} was not logged to {redact(uri)}", advice)
    try:
        return client.get_run(kept_id(folder, uri) if folder.is_dir() else place)
    except MlflowException:
        said = f"{place}: neither a run folder nor an MLflow run of {redact(uri)}"
        raise FacebenchError(said) from None


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
    return f"compare {names}", path
