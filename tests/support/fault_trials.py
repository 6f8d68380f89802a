"""One command that is killed, or whose disk, store or clock fails, and what then differs."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from fault_works import Work
from object_store import ObjectStore
from ray_nodes import RayNodes
from same_results import tracking_differences
from victims import Command, holds, processes_of, wait_for

from facebench.recon.files.mirror import local_path

INTERRUPTED = 130
"""Exit code of a command that a signal has ended."""
PHASES = ("frames", "scoring", "report")
"""Of a benchmark, one after the other."""
LARGE_DISK = 2**30


@dataclass
class Reference:
    """A work that nobody disturbed.

    Attributes:
        work: the command.
        out: its results.
        start: seconds until it took its folder.
        end: seconds until it ended.
        phases: how long each of `PHASES` took, of a benchmark.
    """

    work: Work
    out: Path
    start: float
    end: float
    phases: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Work, out: Path, nodes: RayNodes | None) -> Reference:
        """Run it."""
        began, clock = time.monotonic(), time.time()
        started = start_on(nodes, work, out)
        assert wait_for((out / ".lock").exists, 600), work.log.read_text()
        locked = time.monotonic() - began
        assert started.finish() == 0, work.log.read_text()
        end = time.monotonic() - began
        return cls(work, out, locked, end, _phases(out, clock + locked, clock + end))

    @property
    def chunks(self) -> int:
        """How many chunks of frames it has."""
        return count_chunks(self.out)


def _phases(out: Path, locked: float, end: float) -> dict[str, float]:
    """How long each of `PHASES` took, by when the files of a benchmark were last written."""
    if not (out / "summary.json").exists():
        return {}
    written = max(path.stat().st_mtime for path in (out / "chunks.parquet").rglob("*"))
    marks = (locked, written, (out / "summary.json").stat().st_mtime, end)
    return {name: marks[i + 1] - marks[i] for i, name in enumerate(PHASES)}


def count_chunks(out: Path) -> int:
    return len(list((out / "chunks.parquet").rglob("*.parquet")))


@dataclass
class Trial:
    """One run folder and what is done to it.

    Attributes:
        kind: `WORK/VICTIM`.
        reference: what is to come out.
        out: the folder.
        random: of all moments and choices.
        nodes: the cluster to run on, or None for one of the command's own.
        store: where the work's files are, or None for this disk.
    """

    kind: str
    reference: Reference
    out: Path
    random: random.Random
    nodes: RayNodes | None
    store: ObjectStore | None = None
    kills: int = 0
    said: list[str] = field(default_factory=list)

    def run(self, kills: int) -> list[str]:
        """Kill so often at most, let the command end, and tell what differs."""
        victim = self.kind.partition("/")[2]
        started = self._start()
        for _ in range(kills):
            if not self._kill(victim, started):
                break
            self.kills += 1
            if victim in ("driver", "head", *PHASES) or (started.ended and "SIG" in victim):
                started = self._start()
        return self.said + self._finish(started)

    def _start(self) -> Command:
        return start_on(self.nodes, self.reference.work, self.out)

    def _kill(self, victim: str, started: Command) -> bool:
        """Whether there was something to kill before the command ended."""
        if victim == "driver":
            wait_for(lambda: started.ended or holds(started, self.out / ".lock"))
            wait = self.random.uniform(0.0, self.reference.end - self.reference.start)
            if wait_for(lambda: started.ended, wait):
                self.reference.end -= 0.4 * wait  # it was slower then: the machine, or its own Ray
                return False
            started.kill()
            if self.store and self.kills % 2:
                shutil.rmtree(self.out.parent)
            return True
        if victim == "away":
            return self._stop_store(started)
        if victim in PHASES:
            return self._kill_in(victim, started)
        if victim.startswith("SIG"):
            return self._send(getattr(signal, victim), started)
        if victim in ("node", "head"):
            return self._lose_node(victim, started)
        return self._kill_worker(victim, started)

    def _stop_store(self, started: Command) -> bool:
        assert self.store is not None
        wait_for(lambda: started.ended or holds(started, self.out / ".lock"))
        # It may take longer on this disk, to which the reference went, than in the store.
        wait = self.random.uniform(0.0, 0.5 * (self.reference.end - self.reference.start))
        if wait_for(lambda: started.ended, wait):
            return False
        self.store.stop()
        time.sleep(10)
        self.store.start()
        return True

    def _kill_in(self, phase: str, started: Command) -> bool:
        """Kill the driver while it does a part of its work."""
        began = time.time()
        summary = self.out / "summary.json"
        entered = {
            "frames": lambda: holds(started, self.out / ".lock"),
            "scoring": lambda: count_chunks(self.out) >= self.reference.chunks,
            "report": lambda: summary.exists() and summary.stat().st_mtime > began,
        }[phase]
        wait_for(lambda: started.ended or entered())
        wait = self.random.uniform(0.0, self.reference.phases[phase])
        if wait_for(lambda: started.ended, wait):
            return False
        started.kill()
        return True

    def _send(self, number: signal.Signals, started: Command) -> bool:
        """A signal at a random moment, and what is wrong with the answer."""
        wait_for(lambda: started.ended or holds(started, self.out / ".lock"))
        wait = self.random.uniform(0.0, self.reference.end - self.reference.start)
        before = self._log_size()
        if wait_for(lambda: started.ended, wait):
            return False
        os.kill(started.pid, number)
        if number is signal.SIGSTOP:
            # Stopped it still has its folder: a second one is refused, the first goes on.
            if (code := self._start().finish()) != 2:
                self.said.append(f"a second command beside a stopped one: exit code {code}")
            os.kill(started.pid, signal.SIGCONT)
            return True
        if (code := started.finish(120)) not in (INTERRUPTED, 0):
            self.said.append(f"{number.name}: exit code {code}")
        if "Traceback" in self._log_since(before):
            self.said.append(f"{number.name}: a traceback")
        return True

    def _log_size(self) -> int:
        return self.reference.work.log.stat().st_size

    def _log_since(self, before: int) -> str:
        return self.reference.work.log.read_bytes()[before:].decode(errors="replace")

    def _kill_worker(self, victim: str, started: Command) -> bool:
        root = psutil.Process()  # the command's own Ray and a cluster of ours descend from it
        wait_for(lambda: started.ended or processes_of(victim, root), 200)
        wait_for(lambda: started.ended, self.random.uniform(0.0, self._phase))
        found: list[psutil.Process] = []
        wait_for(lambda: started.ended or found.extend(processes_of(victim, root)) or found, 60)
        if not found:
            return False
        self.random.choice(found).kill()
        return True

    def _lose_node(self, victim: str, started: Command) -> bool:
        assert self.nodes is not None
        wait_for(lambda: started.ended or self._has_rows(), 200)
        wait_for(lambda: started.ended, self.random.uniform(0.0, self._phase))
        if started.ended:
            return False
        if victim == "node":
            self.nodes.lose_one(self.random)
            return True
        self.nodes.lose_head()
        if not wait_for(lambda: started.ended, 150):
            print("    the driver hung after the head was lost; killed too", flush=True)
            started.kill()
        self.nodes.start()
        return True

    @property
    def _phase(self) -> float:
        return 0.3 * (self.reference.end - self.reference.start)

    def _has_rows(self) -> bool:
        return (self.out / "log.csv").exists() or (self.out / "chunks.parquet").exists()

    def _finish(self, started: Command) -> list[str]:
        code = started.finish()
        for _ in range(3):
            if code == 0 and not self._unscored():
                return self._differences()
            started = self._start()
            code = started.finish()
        return [f"exit code {code} after all, see {self.reference.work.log}"]

    def _unscored(self) -> int:
        records = [self.out / name / "run.json" for name in self.reference.work.tracked]
        found = [json.loads(one.read_text()) for one in records if one.exists()]
        return sum(int(one["n_unscored"]) for one in found)

    def _differences(self) -> list[str]:
        work = self.reference.work
        if self.store:
            # What others find, not what this machine has.
            shutil.rmtree(self.out)
            self.out = local_path(f"{work.bucket}/{self.out.name}", whole=True)
        said = work.differences(self.reference.out, self.out)
        for name in work.tracked:
            database = Path(work.environment["MLFLOW_TRACKING_URI"][10:])
            said += tracking_differences(self.out / name, database)
        return said


def start_on(nodes: RayNodes | None, work: Work, out: Path) -> Command:
    """A command on a cluster, or on a Ray of its own."""
    if nodes is None or not work.clustered:
        return work.start(out)
    return work.start(out, "--cluster", **nodes.environment)


def full_disk(trial: Trial, times: int) -> list[str]:
    """The command on a disk that is too small, and made larger so often; at last large enough."""
    room = folder_size(trial.reference.out)
    sizes = sorted(int(room * trial.random.uniform(0.1, 0.9)) for _ in range(times))
    said: list[str] = []
    with small_disk(trial.out, sizes[0]) as enlarge:
        for size in sizes:
            enlarge(size)
            said += _too_small(trial)
        enlarge(LARGE_DISK)
        return said + trial._finish(trial._start())


def _too_small(trial: Trial) -> list[str]:
    """Run it until the disk is full; what was wrong with how it told so."""
    before = trial._log_size()
    code = trial._start().finish()
    if code == 0:
        return ["the disk was large enough"]
    trial.kills += 1
    if code == 2 and "Traceback" not in trial._log_since(before):
        return []
    return [f"exit code {code}, or a traceback"]


def read_only_disk(trial: Trial, times: int) -> list[str]:
    """The command on a disk that refuses all writing from some moment on, as often; then on it."""
    said: list[str] = []
    with small_disk(trial.out, LARGE_DISK), lock_elsewhere(trial.out):
        for _ in range(times):
            before = trial._log_size()
            started = trial._start()
            wait_for(lambda: started.ended or holds(started, trial.out / ".lock"))  # noqa: B023
            length = trial.reference.end - trial.reference.start
            wait_for(lambda: started.ended, trial.random.uniform(0.0, length))  # noqa: B023
            # Refused while a file is open for writing: until there is a moment without one.
            if not wait_for(lambda: started.ended or remount(trial.out, "ro"), 60):  # noqa: B023
                said.append("a file is open for writing all the time")
            code = started.finish(300)
            if code not in (0, 2) or "Traceback" in trial._log_since(before):
                said.append(f"read-only: exit code {code}, or a traceback")
            remount(trial.out, "rw")
            trial.kills += 1
            if code == 0:
                break
        return said + trial._finish(trial._start())


def remount(place: Path, how: str) -> bool:
    """Make a disk `ro` or `rw`; whether it could be."""
    words = ["mount", "-o", f"remount,{how}", str(place)]
    return not subprocess.run(words, capture_output=True, check=False).returncode


@contextmanager
def lock_elsewhere(folder: Path) -> Iterator[None]:
    """The folder's lock as a file of another disk: held open for writing, it keeps its own so."""
    (folder / ".lock").touch()
    with tempfile.NamedTemporaryFile() as file:
        void(["mount", "--bind", file.name, str(folder / ".lock")])
        try:
            yield
        finally:
            void(["umount", str(folder / ".lock")])


def moved_clock(trial: Trial, times: int) -> list[str]:
    """Kills, and between them files that are dated years before or after, each at random."""
    for _ in range(times):
        started = trial._start()
        if not trial._kill("driver", started):
            break
        trial.kills += 1
        for path in sorted(trial.out.rglob("*")):
            if path.is_file():
                date = time.time() + trial.random.uniform(-1, 1) * 1e8
                os.utime(path, (date, date))
    return trial.said + trial._finish(trial._start())


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Callable[[int], None]]:
    """A disk of some bytes at a place, and what gives it another size."""
    place.mkdir(parents=True)
    void(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)])
    try:
        yield lambda larger: void(["mount", "-o", f"remount,size={larger}", str(place)])
    finally:
        void(["umount", str(place)])


def void(command: list[str]) -> None:
    subprocess.run(command, check=True)


def folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
