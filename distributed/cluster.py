"""Connecting to Ray, and starting one of this machine."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray

from ..errors import FacebenchError

THREADS = "OMP_NUM_THREADS"
ONE_THREAD = {"env_vars": {THREADS: "1"}}
"""Runtime environment of workers whose sums must not depend on how many threads added them up."""

_OURS = threading.Event()
"""Set while this process is connected to a Ray that it started, whose workers have one thread."""

_WORKERS = {**ONE_THREAD["env_vars"], "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0"}
"""Environment of the workers of such a Ray: nobody takes this machine away from a training."""

_UNUSED = ("start_monitor", "start_api_server", "start_log_monitor")
"""Methods of Ray's node that start an autoscaler, a server for a dashboard and a reader of logs:
each takes a second or two of a processor, and on one machine nobody asks them anything."""

STEP_OF = "FACEBENCH_RAY"
"""Environment variable of a command that another one started as a step: the address of the Ray
that this one has started for all of its steps."""

CONNECT_SECONDS = 10.0
"""For a head node in the same network to answer; one that is down answers at once or never."""

NO_CLUSTER = "start one with 'ray start --head' and set RAY_ADDRESS, or leave out --cluster"
TOKEN = (
    "set RAY_AUTH_MODE=token, and give the token of its head by RAY_AUTH_TOKEN, "
    "RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"
)
LAST_WORDS = (
    "facebench: the command was killed, or ended by Ray because its cluster is gone; "
    "the same command goes on where it stopped"
)
# A line comes to it at a good end; without one its input ends because the command was killed.
_TELLER = "import sys; sys.stdin.readline() or print(sys.argv[1], file=sys.stderr)"

START_SECONDS = 1200.0
"""How long a Ray of this machine may take to start."""

SLOW_SECONDS = 20.0
"""A start that lasts longer, or fails after it, is slow: the machine is busy, nothing is broken."""

SLOW_START = "facebench: Ray is slow to start, the machine is busy; waiting for it"
PATIENT = {
    "RAY_gcs_server_port_wait_time_s": f"{START_SECONDS:.0f}",
    "RAY_raylet_start_wait_time_s": "2",
    "RAY_agent_register_timeout_ms": f"{1000 * START_SECONDS:.0f}",
    "RAY_worker_register_timeout_seconds": f"{START_SECONDS:.0f}",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": f"{START_SECONDS:.0f}",
    "RAY_health_check_timeout_ms": "60000",
}
"""Ray's own limits, of 10 to 100 seconds by default: a part of it that is slow is not lost. The one
that is short is asked again, see `_watched_parts`."""

ENDED = "facebench: a part of Ray ended while it started ({}); starting it once more"
_LOOK_MS = 2000

NO_START = "run it again when the machine is less busy; 'facebench doctor' looks at the machine"


@contextmanager
def ray_connection(cluster: bool) -> Iterator[None]:
    """Be connected to Ray inside the block; what the block started is ended after it.

    Args:
        cluster: use the cluster at `RAY_ADDRESS`, or else the one this machine belongs to; if
            False, start one on this machine alone.

    Raises:
        FacebenchError: no cluster answers, or Ray does not start here.
    """
    # Whoever connected before also ends it: tests and several runs share one cluster.
    if ray.is_initialized():
        yield
        return
    _connect(cluster)
    with _message_on_sudden_end():
        try:
            yield
        finally:
            _OURS.clear()
            ray.shutdown()


def is_ours() -> bool:
    """Whether this process is connected to a Ray that it started, and that ends with it."""
    return _OURS.is_set()


def one_thread_each() -> dict[str, Any]:
    """Options of the tasks and actors that are to compute with `ONE_THREAD`.

    None where all workers do: a worker with an environment of its own imports Ray twice.
    """
    return {} if is_ours() else {"runtime_env": ONE_THREAD}


def threads_each(threads: int) -> dict[str, dict[str, str]]:
    """Runtime environment of workers that compute with more than `ONE_THREAD`, as Ray sets it."""
    chosen = os.environ.get(THREADS, str(max(1, threads)))
    return {"env_vars": {THREADS: chosen}} if is_ours() else {}


def environment_of_steps() -> dict[str, str]:
    """What a process needs that is to use the Ray of this one, where this one has started it."""
    return {STEP_OF: ray.get_runtime_context().gcs_address} if is_ours() else {}


def is_connected() -> bool:
    """Whether this process is connected to Ray."""
    return bool(ray.is_initialized())


def total(resource: str) -> float:
    """How much of a resource (`CPU`, `GPU`) the connected cluster has in all."""
    return float(ray.cluster_resources().get(resource, 0.0))


def _connect(cluster: bool) -> None:
    # A benchmark of unpublished data sends no usage reports.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # Its workers would be 15 nicer than the command: beside other work they take minutes to start.
    os.environ.setdefault("RAY_worker_niceness", "0")
    local = os.environ.get(STEP_OF, "local")
    address = os.environ.get("RAY_ADDRESS", "auto") if cluster else local
    be_quiet()
    try:
        if address == "local":
            _start_here()
            return
        _check_answers(address)
        _initialise(address)
        if not cluster:
            _OURS.set()
    except Exception as error:  # a node that starts too slowly raises a bare one
        raise _no_answer(address, error) from error


def _start_here() -> None:
    """Start Ray, again where the machine was too busy for one of its limits that nobody can set."""
    for name, limit in PATIENT.items():
        os.environ.setdefault(name, limit)
    began, tries = time.monotonic(), 0
    while True:
        tried, others = time.monotonic(), _children()
        tries += 1
        try:
            with _watched_parts(others), _environment_of_workers(), _without_unused_parts():
                _initialise("local")
            _OURS.set()
            return
        except Exception as error:
            now, ended = time.monotonic(), isinstance(error, _EndedError)
            once_more = now - tried >= SLOW_SECONDS or (ended and tries == 1)
            if not once_more or now - began > START_SECONDS:
                raise
            if ended:
                print(ENDED.format(error), file=sys.stderr, flush=True)
        # What a failed start leaves would take processors from the next.
        for child in _children().keys() - others:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
        # Also those of the user's environment: they were too short.
        os.environ.update(PATIENT)


def _initialise(address: str) -> None:
    with _quiet_stderr() as terminal, _kept_handlers():
        # Of a cluster it would not be true: Ray asks one for so long that refuses a token.
        limit = SLOW_SECONDS if address == "local" else START_SECONDS
        word = threading.Timer(limit, os.write, (terminal, f"{SLOW_START}\n".encode()))
        word.daemon = True
        word.start()
        try:
            ray.init(
                address=address,
                # Of a cluster the head has decided already; here a dashboard is of no use.
                include_dashboard=False if address == "local" else None,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        finally:
            word.cancel()
            word.join()  # the descriptor that it writes to is closed next


class _EndedError(Exception):
    """A part of Ray has ended before it was there; its text is the name of the process."""


@contextmanager
def _watched_parts(others: Container[int]) -> Iterator[None]:
    """Raise `_EndedError` within seconds where a part of Ray that is started inside ends.

    Ray asks for a raylet that has died for as long as for one that is slow, in its native code,
    where no signal is heard.

    Args:
        others: processes of before.
    """
    from ray._private import node, services

    find, wait = services.get_node, node.wait_for_persisted_port

    def find_until_ended(*where: str) -> object:
        return _ask_until_ended(lambda: find(*where), "raylet", others)

    def wait_until_ended(*what: str, timeout_ms: int) -> object:
        limit = min(_LOOK_MS, timeout_ms)
        return _ask_until_ended(lambda: wait(*what, timeout_ms=limit), "gcs_server", others)

    services.get_node, node.wait_for_persisted_port = find_until_ended, wait_until_ended
    try:
        yield
    finally:
        services.get_node, node.wait_for_persisted_port = find, wait


@contextmanager
def _environment_of_workers() -> Iterator[None]:
    """What is started inside inherits `_WORKERS`; this process keeps what the user chose."""
    before = {name: os.environ[name] for name in _WORKERS.keys() & os.environ.keys()}
    os.environ.update(_WORKERS)
    try:
        yield
    finally:
        for name in _WORKERS:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _without_unused_parts() -> Iterator[None]:
    """A Ray that is started inside consists of what runs tasks."""
    from ray._private.node import Node

    # Another version of Ray may have no such part: it starts all the same.
    whole = {name: getattr(Node, name) for name in _UNUSED if hasattr(Node, name)}
    for name in whole:
        setattr(Node, name, lambda node, *given, **settings: None)
    try:
        yield
    finally:
        for name, start in whole.items():
            setattr(Node, name, start)


def _ask_until_ended(ask: Callable[[], object], part: str, others: Container[int]) -> object:
    began = time.monotonic()
    while True:
        try:
            return ask()
        except Exception:
            mine = {facts for pid, facts in _children().items() if pid not in others}
            # Nobody has waited for it yet: it stays in the list as a zombie.
            if mine and not any(name == part and state not in "ZX" for name, state in mine):
                raise _EndedError(part) from None
            if time.monotonic() - began > START_SECONDS:
                raise


def _children() -> dict[int, tuple[str, str]]:
    """Name and state of this process's children; none where the system does not list them."""
    found = {}
    for path in Path("/proc/self/task").glob("*/children"):
        for pid in path.read_text(encoding="utf-8").split():
            with suppress(OSError):
                stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
                name, _, rest = stat.partition("(")[2].rpartition(") ")
                found[int(pid)] = (name, rest[:1])
    return found


def be_quiet() -> None:
    """Keep Ray's notes off the terminal; what a user must know comes as an error or a row."""
    # Not of their parent: Ray sets the level of `ray` again at every start.
    for name in ("ray.data", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _no_answer(address: str, error: Exception) -> FacebenchError:
    if address == "local":
        return FacebenchError("Ray did not start on this machine", NO_START)
    where, said = "this machine" if address == "auto" else address, str(error)
    # Of a wrong token Ray tells in the text of the cause, after it has asked for 20 seconds.
    if any("AuthenticationError" in repr(one) for one in (error, error.__cause__)):
        message = f"the Ray cluster at {where} wants a token; this command has none, or another"
        return FacebenchError(message, TOKEN)
    # Ray tells the cluster's versions first, then those of this process.
    versions = re.findall(r"(?:Ray|Python): \S+", said) if "Version mismatch" in said else []
    if len(versions) == 4:
        theirs, own = (" and ".join(two).replace(":", "") for two in (versions[:2], versions[2:]))
        message = f"the Ray cluster at {where} is of {theirs}, this command of {own}"
        return FacebenchError(message, "install the same versions on both: constraints.txt")
    return FacebenchError(f"no Ray cluster answers at {where}", NO_CLUSTER)


def _check_answers(address: str) -> None:
    """Ray itself waits minutes for a head node that is not there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    # Of "auto" and "local" there is no port: these Ray finds, or starts, at once.
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


@contextmanager
def _message_on_sudden_end() -> Iterator[None]:
    """Print a message if Ray ends this process from within, as it does without its head or node."""
    # Isolated and without site packages, it starts in a hundredth of a second.
    command = [sys.executable, "-I", "-S", "-c", _TELLER, LAST_WORDS]
    # Its own session, or Ctrl-C would end it with the command it watches.
    teller = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        with suppress(OSError):
            teller.communicate(b"done\n")


@contextmanager
def _kept_handlers() -> Iterator[None]:
    """Ray's own handler of SIGTERM exits at once with a stack dump; the command's keeps the run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            if handler is not None:  # one that Python did not set cannot be set from here
                signal.signal(number, handler)


@contextmanager
def _quiet_stderr() -> Iterator[int]:
    """Silence file descriptor 2, on which Ray's native part notes that it is quiet.

    Gives the descriptor of what the user sees.
    """
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield kept
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
