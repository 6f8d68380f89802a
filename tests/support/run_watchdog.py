"""Ends a test run in which nothing happens any more, and names what hung.

A time-out of a test works inside its process. It cannot help when that process is gone, when it
hangs outside of Python, or when the run itself waits for a worker that is dead.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time

import psutil
import pytest

LIMIT = float(os.environ.get("FACEBENCH_TEST_SILENCE", "1800"))
"""Seconds without a test's start or end; twice the longest time-out of a test."""

START_LIMIT = max(LIMIT, 600.0)
"""Seconds until the first test begins: workers start and every test is collected."""


def watch(config: pytest.Config) -> None:
    """Watch this run, if it is a run and not one of its workers."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(RunWatchdog())


class RunWatchdog:
    """Notes which tests run and, in a thread, how long ago the last one began or ended."""

    def __init__(self) -> None:
        self.limit = START_LIMIT
        self.running: dict[str, float] = {}
        self.last = time.monotonic()
        # Capturing has not begun to replace the descriptor yet, or pauses for `pytest_configure`.
        self.terminal = os.dup(2)
        threading.Thread(target=self._watch, name="run watchdog", daemon=True).start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.last = self.running[nodeid] = time.monotonic()
        self.limit = LIMIT

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.last = time.monotonic()
        self.running.pop(nodeid, None)

    def pytest_sessionfinish(self) -> None:
        self.last = time.monotonic()  # the end may hang too: keep watching

    def _watch(self) -> None:
        while (silent := time.monotonic() - self.last) < self.limit:
            time.sleep(min(self.limit - silent, 5.0))
        self._say(f"\nNo test began or ended for {silent:.0f} s: the run is ended. Running:\n")
        for test, since in self.running.items() or {"no test": self.last}.items():
            self._say(f"  {test} for {time.monotonic() - since:.0f} s\n")
        faulthandler.dump_traceback(self.terminal, all_threads=True)
        self._end_children()
        os._exit(1)  # threads and exit handlers of a hung run may hang as well

    def _end_children(self) -> None:
        """Each worker writes where it hangs (pytest's fault handler), then everything is killed."""
        own = psutil.Process()
        workers, everything = own.children(), own.children(recursive=True)
        for worker in workers:
            self._say(f"worker {worker.pid} ({worker.status()}):\n")
            worker.send_signal(signal.SIGABRT)
        psutil.wait_procs(workers, timeout=10)
        for process in everything:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def _say(self, text: str) -> None:
        os.write(self.terminal, text.encode())
