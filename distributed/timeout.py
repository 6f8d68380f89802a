"""Time-out for Ray: a cluster that is too small, or cannot start a worker, would wait for ever."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray

from ..errors import FacebenchError
from .cluster import total

TIMEOUT = "FACEBENCH_CLUSTER_PATIENCE"
"""Environment variable: seconds without a result after which a cluster that is too small, or that
starts no worker, is given up; what takes the place of a lost machine may take minutes to come."""

SIGNAL = signal.SIGUSR1
"""Ends the waiting. Not the one of Ctrl-C, which a shell's background jobs do not hear."""

_SECONDS = 300.0
_POLL_SECONDS = 2.0
_ANSWER_SECONDS = 60.0

NO_ROOM = "make room on its disk, where Ray keeps its logs (df /tmp/ray), and in its memory"
"""What to do about a node whose workers die as they start."""
_GO_ON = "the same command goes on where this one stopped"


@dataclass(frozen=True)
class Needs:
    """What a cluster must have, or nothing more will come.

    Attributes:
        cpus: processors in all.
        gpus: GPUs in all.
    """

    cpus: float
    gpus: float = 0.0


class _Watchdog(threading.Thread):
    """Interrupts the main thread, which waits inside Ray, when nothing will come."""

    def __init__(self, needs: Needs) -> None:
        super().__init__(daemon=True)
        self._needs = needs
        # The main thread waits inside Ray's own code, where it can look at no clock.
        self._seconds = _timeout_seconds()
        self._large = self._sound = time.monotonic()
        self._waiting = threading.get_ident()
        self.over = threading.Event()
        self.failure: FacebenchError | None = None

    def heartbeat(self) -> None:
        """A result has come: the time-out starts again."""
        self._large = self._sound = time.monotonic()

    def run(self) -> None:
        while not self.over.wait(min(_POLL_SECONDS, self._seconds / 4)):
            failure = self._reason_to_give_up()
            if failure and not self.over.is_set():
                self.failure = failure
                signal.pthread_kill(self._waiting, SIGNAL)
                return

    def _reason_to_give_up(self) -> FacebenchError | None:
        """Why nothing will come; None while something may."""
        # By what the cluster has, not by time alone: a slow job on a sound cluster may take hours.
        has, now = Needs(total("CPU"), total("GPU")), time.monotonic()
        nothing = f"nothing came for {self._seconds:.0f} s"
        if has.cpus < self._needs.cpus or has.gpus < self._needs.gpus:
            if now - self._large <= self._seconds:
                return None
            down = f"the cluster is down to {has.cpus:g} processors and {has.gpus:g} GPUs"
            return FacebenchError(f"{down}, and {nothing}", f"{_GO_ON}, on a larger cluster")
        self._large = now
        if now - self._sound <= self._seconds:
            return None
        self._sound = now
        dying = _nodes_without_workers(self.over)
        # Something may have come while they were asked.
        if not dying or self._sound > now:
            return None
        return FacebenchError(
            f"{nothing}: on {', '.join(dying)} every worker of Ray dies as it starts",
            f"{NO_ROOM}; {_GO_ON}",
        )


def _nodes_without_workers(over: threading.Event) -> list[str]:
    """Addresses of all nodes with processors, where none of them can start a worker; else none.

    Ray tries for ever to start the workers of a node whose disk is full, or that lost its files.
    """
    pin = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    # Without a processor, all of which may be at work for hours: a worker is all that it needs.
    ask = ray.remote(num_cpus=0, max_retries=0)(_do_nothing)
    tried = [
        ask.options(scheduling_strategy=pin(node["NodeID"], soft=False)).remote() for node in nodes
    ]
    until, late = time.monotonic() + _ANSWER_SECONDS, tried
    # In short turns: Ray may be ended once nobody waits for it any more, and not under this thread.
    while late and time.monotonic() < until and not over.is_set():
        _, late = ray.wait(tried, num_returns=len(tried), timeout=_POLL_SECONDS / 2)
    if late or not all(map(_has_crashed, tried)):
        return []
    return [node["NodeManagerAddress"] for node in nodes]


def _do_nothing() -> None:
    """What every worker can do."""


def _has_crashed(task: ray.ObjectRef[None]) -> bool:
    try:
        ray.get(task)
    except ray.exceptions.RayError as error:
        return isinstance(error, ray.exceptions.WorkerCrashedError)
    return False


def _timeout_seconds() -> float:
    text = os.environ.get(TIMEOUT, str(_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    # Not `<= 0`: "nan" is a number too, and compares as false.
    if not seconds > 0:
        raise FacebenchError(f"{TIMEOUT} is '{text}'", "give seconds, more than 0")
    return seconds


@contextmanager
def cluster_timeout(needs: Needs) -> Iterator[Callable[[], None]]:
    """Wait for Ray inside the block while there is hope; give the heartbeat to call at each result.

    Raises:
        FacebenchError: nothing came for `TIMEOUT` seconds, and all that time the cluster had less
            than the work needs, or no node can start a worker; or that is no number of seconds.
    """
    watchdog = _Watchdog(needs)
    if threading.current_thread() is not threading.main_thread():  # only this one is interrupted
        yield watchdog.heartbeat
        return
    # Without a handler this signal ends the process; that of Ctrl-C raises in the main thread.
    before = signal.signal(SIGNAL, signal.default_int_handler)
    watchdog.start()
    try:
        yield watchdog.heartbeat
    except KeyboardInterrupt:
        # A real Ctrl-C, which is not ours to explain.
        if watchdog.failure is None:
            raise
        raise watchdog.failure from None
    finally:
        # First the thread, then the handler: its signal without one would end the process.
        watchdog.over.set()
        watchdog.join(_POLL_SECONDS)
        signal.signal(SIGNAL, before or signal.SIG_DFL)
