"""Commands under test as processes, and what can be killed of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

TITLES = {
    "worker": ("ray::_call", "ray::ReadRange", "ray::FlatMap", "ray::RayTrainWorker"),
    "actor": ("ray::MapWorker", "ray::RayTrainWorker"),
    "controller": ("ray::TrainController",),
}
"""How Ray names the processes of each kind."""


@dataclass
class Started:
    """A `facebench` command that runs.

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
    def ended(self) -> bool:
        """Whether it is over."""
        return self.process.poll() is not None

    def holds(self, path: Path) -> bool:
        """Whether it has a file open."""
        try:
            opened = psutil.Process(self.process.pid).open_files()
        except psutil.Error:
            return False
        return any(Path(file.path) == path.absolute() for file in opened)

    def kill(self) -> None:
        """SIGKILL to this one process."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def finish(self, seconds: float = 900.0) -> int:
        """Its exit code; killed where it does not end in time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


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
