"""Work on a cluster that has become too small for it ends after a while, for Ray waits for ever."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import FacebenchError
from .cluster import total

PATIENCE = "FACEBENCH_CLUSTER_PATIENCE"
"""Environment variable: seconds without a result after which a cluster that is too small is given
up; a machine that takes the place of a lost one may take minutes to come."""

SIGNAL = signal.SIGUSR1
"""Ends the waiting. Not the one of Ctrl-C, which a shell's background jobs do not hear."""

_SECONDS = 300.0
_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Needs:
    """What a cluster must have, or nothing more will come.

    Attributes:
        cpus: processors in all.
        gpus: GPUs in all.
    """

    cpus: float
    gpus: float = 0.0


class _Watch(threading.Thread):
    """Interrupts the main thread, which waits inside Ray, when nothing will come."""

    def __init__(self, needs: Needs) -> None:
        super().__init__(daemon=True)
        self._needs = needs
        self._seconds = _patience()
        self._last = time.monotonic()
        self._waiting = threading.get_ident()
        self.over = threading.Event()
        self.has: Needs | None = None

    def came(self) -> None:
        """A result is there."""
        self._last = time.monotonic()

    def run(self) -> None:
        while not self.over.wait(min(_POLL_SECONDS, self._seconds / 4)):
            has = Needs(total("CPU"), total("GPU"))
            if has.cpus >= self._needs.cpus and has.gpus >= self._needs.gpus:
                self.came()
            elif time.monotonic() - self._last > self._seconds and not self.over.is_set():
                self.has = has
                signal.pthread_kill(self._waiting, SIGNAL)
                return

    def told(self, has: Needs) -> FacebenchError:
        """Why it ended."""
        what = f"{has.cpus:g} processors and {has.gpus:g} GPUs"
        return FacebenchError(
            f"the cluster is down to {what}, and nothing came for {self._seconds:.0f} s",
            "the same command goes on where this one stopped, on a cluster that is large enough",
        )


def _patience() -> float:
    text = os.environ.get(PATIENCE, str(_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise FacebenchError(f"{PATIENCE} is '{text}'", "give seconds, more than 0")
    return seconds


@contextmanager
def giving_up(needs: Needs) -> Iterator[Callable[[], None]]:
    """Wait for Ray inside the block while there is hope; call what it gives at each result.

    Raises:
        FacebenchError: the cluster has had less than the work needs, and nothing came, for
            `PATIENCE` seconds; or that is no number of seconds.
    """
    watch = _Watch(needs)
    if threading.current_thread() is not threading.main_thread():  # only this one is interrupted
        yield watch.came
        return
    before = signal.signal(SIGNAL, signal.default_int_handler)
    watch.start()
    try:
        yield watch.came
    except KeyboardInterrupt:
        if watch.has is None:
            raise
        raise watch.told(watch.has) from None
    finally:
        watch.over.set()
        watch.join(_POLL_SECONDS)
        signal.signal(SIGNAL, before or signal.SIG_DFL)
