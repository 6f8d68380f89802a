"""Commands under test as processes, and what can be killed of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

import psutil

TITLES = {
    "worker": ("ray::_call", "ray::ReadRange", "ray::FlatMap", "ray::RayTrainWorker"),
    "actor": ("ray::MapWorker", "ray::RayTrainWorker"),
    "controller": ("ray::TrainController",),
}
"""How Ray names the processes of each kind."""


PRELOADED = [
    "facebench.cli.main",
    "facebench.distributed.benchmark",
    "facebench.distributed.plan",
    "facebench.distributed.train",
    "facebench.results.report",
    "facebench.results.tracking.training",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "mlflow.store.tracking.sqlalchemy_store",
    "torch._dynamo",
]
"""Imported once for all of `Forked`: most of what a short command costs."""


ONLY_PREDICTORS = "FACEBENCH_TEST_PREDICTORS"
"""Environment variable of a forked audit: the names it does with, where all take minutes."""


class Command(Protocol):
    """A `facebench` command that runs."""

    @property
    def pid(self) -> int:
        """Of its process."""
        ...

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        ...

    def kill(self) -> None:
        """SIGKILL to this one process."""
        ...

    def finish(self, seconds: float = 900.0) -> int:
        """Its exit code; killed where it does not end in time.

        Raises:
            TimeoutError: it had to be killed.
        """
        ...


@dataclass
class Started:
    """A command in a Python of its own.

    Attributes:
        words: after `facebench`.
        environment: beside this process's.
        log: where it writes what it says.
    """

    words: Sequence[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "facebench", *self.words]
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                command, stdout=said, stderr=said, env=os.environ | self.environment
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def finish(self, seconds: float = 900.0) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"{seconds} s") from None


@dataclass
class Forked:
    """A command forked from a process that has imported everything, which is cheaper.

    Attributes: as `Started`.
    """

    words: Sequence[str]
    environment: dict[str, str]
    log: Path
    process: BaseProcess = field(init=False)

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        arguments = (list(self.words), dict(os.environ) | self.environment, str(self.log))
        self.process = context.Process(target=_facebench, args=arguments)
        self.process.start()

    @property
    def pid(self) -> int:
        return int(self.process.pid or 0)

    @property
    def ended(self) -> bool:
        return self.process.exitcode is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def finish(self, seconds: float = 900.0) -> int:
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.kill()
            raise TimeoutError(f"{seconds} s")
        return self.process.exitcode


def _facebench(words: list[str], environment: dict[str, str], log: str) -> None:
    """The command in this process, and its exit code."""
    from facebench.cli.main import main

    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    os.environ.clear()
    os.environ.update(environment)
    if wanted := os.environ.get(ONLY_PREDICTORS):
        from facebench.bench.audit import predictors

        chosen = [one for one in predictors.PREDICTORS if one.name in wanted.split(",")]
        predictors.PREDICTORS = tuple(chosen)
    sys.argv = ["facebench", *words]
    main()


def holds(command: Command, path: Path) -> bool:
    """Whether a command has a file open."""
    try:
        opened = psutil.Process(command.pid).open_files()
    except psutil.Error:
        return False
    return any(Path(file.path) == path.absolute() for file in opened)


def processes_of(kind: str, root: psutil.Process) -> list[psutil.Process]:
    """The descendants of a process that are of a kind of `TITLES`."""
    try:
        family = root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [one for one in family if _title(one).startswith(TITLES[kind])]


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> bool:
    """Whether a condition came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
