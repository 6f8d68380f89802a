"""Connecting to Ray: a cluster that is there, or one of this machine for the length of a run."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import ray

from ..errors import FacebenchError

ONE_THREAD = {"env_vars": {"OMP_NUM_THREADS": "1"}}
"""Runtime environment of workers whose sums must not depend on how many threads added them up."""

CONNECT_SECONDS = 10.0

NO_CLUSTER = "start one with 'ray start --head' and set RAY_ADDRESS, or leave out --cluster"
LAST_WORDS = (
    "facebench: the command was killed, or ended by Ray because its cluster is gone; "
    "the same command goes on where it stopped"
)
_TELLER = "import sys; sys.stdin.readline() or print(sys.argv[1], file=sys.stderr)"
NO_START = "run it again when the machine is less busy; 'facebench doctor' looks at the machine"


@contextmanager
def connected(cluster: bool) -> Iterator[None]:
    """Be connected to Ray inside the block; what the block started is ended after it.

    Args:
        cluster: use the cluster at `RAY_ADDRESS`, or else the one this machine belongs to; if
            False, start one on this machine alone.

    Raises:
        FacebenchError: no cluster answers, or Ray does not start here.
    """
    if ray.is_initialized():
        yield
        return
    _connect(cluster)
    with _last_words():
        try:
            yield
        finally:
            ray.shutdown()


def total(resource: str) -> float:
    """How much of a resource (`CPU`, `GPU`) the connected cluster has in all."""
    return float(ray.cluster_resources().get(resource, 0.0))


def _connect(cluster: bool) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    address = os.environ.get("RAY_ADDRESS", "auto") if cluster else "local"
    try:
        _check_answers(address)
        with _quiet_stderr():
            ray.init(
                address=address,
                include_dashboard=None if cluster else False,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
    except Exception as error:  # a node that starts too slowly raises a bare one
        raise _told(address) from error


def _told(address: str) -> FacebenchError:
    if address == "local":
        return FacebenchError("Ray did not start on this machine", NO_START)
    where = "this machine" if address == "auto" else address
    return FacebenchError(f"no Ray cluster answers at {where}", NO_CLUSTER)


def _check_answers(address: str) -> None:
    """Ray itself waits minutes for a head node that is not there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


@contextmanager
def _last_words() -> Iterator[None]:
    """Ray ends a process whose head or node is gone from within, where no `except` sees it."""
    # Isolated and without site packages, it starts in a hundredth of a second.
    command = [sys.executable, "-I", "-S", "-c", _TELLER, LAST_WORDS]
    teller = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        with suppress(OSError):
            teller.communicate(b"done\n")


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Ray's native part notes on file descriptor 2 that it was told to be quiet."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
