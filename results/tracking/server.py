"""MLflow's web interface as a process of this command, on this machine only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from ...errors import FacebenchError

HOST = "127.0.0.1"
START_S = 180.0
END_S = 10.0

_ENVIRONMENT = {
    # 2 processes and 0.5 GB instead of 15 and 3.1 GB.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@dataclass(frozen=True)
class Server:
    """MLflow's server, running.

    Attributes:
        address: where a browser finds it.
        process: the leader of its own process group.
    """

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def mlflow_server(store: str, port: int) -> Iterator[Server]:
    """Serve a store until the block is left; then no process of it is left either.

    Args:
        store: address of a database that is there.
        port: of 127.0.0.1; 0 takes one that is free.

    Raises:
        FacebenchError: the port is taken, or MLflow does not start.
    """
    port = _usable(port)
    with TemporaryDirectory(prefix="facebench-ui-") as scratch:
        said = Path(scratch, "mlflow.log")
        process = _started(store, port, said)
        try:
            address = f"http://{HOST}:{port}"
            _wait(address, process, said)
            yield Server(address, process)
        finally:
            _end(process)


def _usable(port: int) -> int:
    """The port, or a free one for 0."""
    try:
        return _bound(port)
    except OverflowError:
        raise FacebenchError(f"{port} is no port", "give one from 1024 to 65535") from None
    except PermissionError:
        raise FacebenchError(f"port {port} is not for everybody", f"{_other()}") from None
    except OSError:
        raise FacebenchError(f"port {port} of {HOST} is taken", _other()) from None


def _bound(port: int) -> int:
    with socket.socket() as probe:
        # As the server does: what an earlier one left waiting is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        number: int = probe.getsockname()[1]
    return number


def _other() -> str:
    return f"--port {_bound(0)} is free"


def _started(store: str, port: int, said: Path) -> subprocess.Popen[bytes]:
    words = ["-m", "mlflow", "server", "--backend-store-uri", store]
    words += ["--host", HOST, "--port", str(port), "--workers", "1"]
    with said.open("wb") as log:
        # A group of its own, so that Ctrl-C comes to this command alone, which then ends all of it.
        return subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **_ENVIRONMENT},
            process_group=0,
        )


def _wait(address: str, process: subprocess.Popen[bytes], said: Path) -> None:
    end = time.monotonic() + START_S
    while not _answers(address):
        if process.poll() is not None or time.monotonic() > end:
            lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1] if lines else f"exit code {process.returncode}"
            raise FacebenchError(f"MLflow does not start: {last}")
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
