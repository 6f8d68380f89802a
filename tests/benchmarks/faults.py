"""Kills commands at random moments and looks whether anything is lost.

    python tests/benchmarks/faults.py --kills 50 --seed 0 --folder /tmp/faults
    python tests/benchmarks/faults.py --only train/driver micc/disk --kills 8
    python tests/benchmarks/faults.py --only micc/driver micc/worker micc/node --share --kills 20
    python tests/benchmarks/faults.py --only store/maker micc-few/report micc-few/SIGTERM --kills 40

A trial starts a command, kills the driver, a Ray worker, an actor, the controller of a training, a
Ray node or the head of a cluster of two nodes on this machine, lets its disk run full or makes it
read-only, or kills it and dates its files years before or after; then the same command is given
again until it ends by itself. Its results are compared, bit for bit, with those of a command that
nobody disturbed: no row twice, none missing, one MLflow run, nothing half written left. Filling a
disk and making it read-only mounts a tmpfs, which only root may. `micc-few` does without Ray:
`frames`, `scoring` and `report` kill the driver in that part of its work. A signal's name stands
for that signal instead of a kill: it must end the command with the code of Ctrl-C and without a
traceback, and SIGSTOP must end nothing. `store/maker` kills who makes MLflow's first store.

The works `s3-…` have all that they read and write in an object store (a server on the loopback),
and are compared with the same work on this disk. With each second killed driver the copies on its
machine are lost too; `away` lets the store answer nobody for ten seconds.

The drivers are forked from a process that has imported everything, which spares each the seconds of
its imports; `--fresh` starts a Python for each. With `--share` all commands that use Ray run on one
cluster, started once, which is cheaper than a Ray of its own for each.
"""

from __future__ import annotations

import argparse
import collections
import json
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from fault_works import Work, audit, benchmark, connect_in, in_store, table, training
from object_store import ObjectStore, object_store
from ray_nodes import RayNodes
from same_results import tracking_differences
from victims import Command, Forked, Started, holds, processes_of, wait_for

from facebench.recon.files.mirror import local_path
from facebench.recon.files.stores import mirror_path

SHARES = {
    "train/driver": 10,
    "train2/driver": 2,
    "train2/worker": 5,
    "train2/controller": 2,
    "train2/node": 3,
    "train2/head": 1,
    "train/disk": 4,
    "train/readonly": 4,
    "train/clock": 4,
    "micc/driver": 8,
    "micc/worker": 5,
    "micc/actor": 4,
    "micc/node": 3,
    "micc/head": 1,
    "micc/disk": 2,
    "micc-few/frames": 4,
    "micc-few/scoring": 4,
    "micc-few/report": 4,
    "micc-few/SIGINT": 1,
    "micc-few/SIGTERM": 2,
    "micc-few/SIGHUP": 2,
    "micc-few/SIGSTOP": 2,
    "micc-few/readonly": 4,
    "micc-few/clock": 4,
    "train/SIGTERM": 1,
    "table1/driver": 8,
    "audit/driver": 8,
    "store/maker": 12,
    "s3-train/driver": 10,
    "s3-train/away": 2,
    "s3-micc/driver": 4,
    "s3-micc/node": 3,
    "s3-micc/away": 2,
    "s3-micc-few/driver": 6,
    "s3-micc-few/away": 2,
}
"""How often each kind comes, in proportion: by what a kill costs."""

IN_A_ROW = {
    **dict.fromkeys(("driver", "actor"), 4),
    **dict.fromkeys(("node", "disk", "maker", "readonly", "clock"), 3),
    "away": 1,
    "worker": 5,
    "controller": 2,
    **dict.fromkeys(("frames", "scoring", "report"), 3),
    **dict.fromkeys(("SIGINT", "SIGTERM", "SIGHUP", "SIGSTOP"), 4),
}
"""Kills in one trial, before the command may end."""

Launch = Callable[[Sequence[str], dict[str, str], Path], Command]

INTERRUPTED = 130
PHASES = ("frames", "scoring", "report")
STORED = "s3-"


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


LARGE_DISK = 2**30


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


class Campaign:
    """All trials of a seed.

    Args:
        folder: for data, references and the trials' folders.
        seed: of all moments and choices.
        share: one cluster for all commands that use Ray.
        launch: how a command is started.
        nodes: of a cluster.
    """

    def __init__(
        self, folder: Path, seed: int, share: bool, launch: Launch, nodes: int = 2
    ) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.seed = seed
        self.share = share
        self.launch = launch
        self.nodes = nodes
        self.references: dict[str, Reference] = {}
        self.store: ObjectStore | None = None
        self.works: dict[str, Work] = {}
        self.seconds_to_connect = 0.0
        self.kills: collections.Counter[str] = collections.Counter()
        self.trials: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []

    def run(self, kinds: list[str], kills: int) -> None:
        """Trials of kinds drawn by their share until there were so many kills."""
        weights = [SHARES[kind] for kind in kinds]
        wanted = zip(kinds, weights, strict=True)
        left = {kind: round(kills * share / sum(weights)) for kind, share in wanted}
        on_nodes = {kind for kind in kinds if left[kind] and self._needs_nodes(kind)}
        stored = any(kind.startswith(STORED) for kind in kinds)
        with (
            object_store() if stored else nullcontext() as self.store,
            # They find the store by the environment of this process.
            ray_nodes(self.nodes) if self._prepare_store() and on_nodes else nullcontext() as nodes,
        ):
            for kind in kinds:
                while left[kind] > 0:
                    done = self._trial(kind, left[kind], nodes if kind in on_nodes else None)
                    left[kind] -= max(1, done)
        self.print()

    def _prepare_store(self) -> bool:
        if self.store:
            os.environ |= self.store.environment(self.folder.absolute() / "cache")
        return True

    def _needs_nodes(self, kind: str) -> bool:
        work, _, victim = kind.removeprefix(STORED).partition("/")
        return victim in ("node", "head") or (self.share and work in ("train2", "micc"))

    def _trial(self, kind: str, left: int, nodes: RayNodes | None) -> int:
        name, _, victim = kind.partition("/")
        self.trials[kind] += 1
        out = self.folder / f"{name}-{victim}-{self.seed}-{self.trials[kind]}"
        if kind == "store/maker":
            return self._store(out, min(left, IN_A_ROW[victim]))
        reference = self._reference(name.removeprefix(STORED), nodes)
        trial = Trial(kind, reference, out, self.random, nodes)
        if self.store and name.startswith(STORED):
            work = self._stored(name, reference.work)
            place = mirror_path(f"{work.bucket}/{out.name}", writing=True)
            trial = replace(
                trial, reference=replace(reference, work=work), out=place, store=self.store
            )
        began = time.monotonic()
        at_once = min(left, IN_A_ROW.get(victim, 1))
        ways = {"disk": full_disk, "readonly": read_only_disk, "clock": moved_clock}
        said = ways.get(victim, Trial.run)(trial, at_once)
        self._tell(kind, out, trial.kills, time.monotonic() - began, said)
        return trial.kills

    def _stored(self, name: str, work: Work) -> Work:
        assert self.store is not None
        if name not in self.works:
            self.works[name] = in_store(work, self.store)
        return self.works[name]

    def _store(self, out: Path, kills: int) -> int:
        """Kill the makers of a store, one after the other, and look at it."""
        began = time.monotonic()
        if not self.seconds_to_connect:
            for name in ("first", "undisturbed"):  # the first starts the process that is forked
                began, there = time.monotonic(), out.with_name(f"store-{name}-{self.seed}")
                there.mkdir(parents=True)
                assert not connect_in(there, None) and not first_store_faults(there)
            self.seconds_to_connect = time.monotonic() - began
            began = time.monotonic()
        out.mkdir(parents=True)
        killed = sum(
            connect_in(out, self.random.uniform(0.0, self.seconds_to_connect)) for _ in range(kills)
        )
        connect_in(out, None)
        faults = first_store_faults(out)
        self._tell("store/maker", out, killed, time.monotonic() - began, faults)
        return killed

    def _tell(self, kind: str, out: Path, kills: int, seconds: float, said: list[str]) -> None:
        self.kills[kind] += kills
        self.faults += [f"{out.name}: {line}" for line in said]
        print(f"{out.name}: {kills} kills, {seconds:.0f} s, {said or 'the same'}", flush=True)

    def _reference(self, name: str, nodes: RayNodes | None) -> Reference:
        if name not in self.references:
            make: dict[str, Callable[[], Work]] = {
                "train": lambda: training(self.folder / "training", 30),
                "train2": lambda: training(self.folder / "training", 30, workers=2),
                "micc": lambda: benchmark(self.folder / "benchmark"),
                "micc-few": lambda: benchmark(self.folder / "few", frames=20, workers=0),
                "table1": lambda: table(self.folder / "table"),
                "audit": lambda: audit(self.folder / "audit"),
            }
            out = self.folder / f"{name}-undisturbed-{self.seed}"
            work = replace(make[name](), launch=self.launch)
            self.references[name] = Reference.of(work, out, nodes)
        return self.references[name]

    def print(self) -> None:
        """The table, and all that was lost."""
        for kind, kills in self.kills.items():
            print(f"| {kind} | {self.trials[kind]} | {kills} |")
        load = os.getloadavg()[0]
        print(f"{sum(self.kills.values())} kills, {len(self.faults)} faults; load {load:.1f}")
        for line in self.faults:
            print("  ", line)


def first_store_faults(folder: Path) -> list[str]:
    """What is wrong with a store that was made in a folder, whoever was killed on the way."""
    said = [f"left behind: {path.name}" for path in folder.glob(".*.new*")]
    with sqlite3.connect(folder / "mlflow.db") as store:
        sound = store.execute("PRAGMA integrity_check").fetchone()[0]
        names = {name for (name,) in store.execute("SELECT name FROM experiments")}
    said += [f"the store is {sound}"] * (sound != "ok")
    return said + [f"experiments {sorted(names)}"] * (names != {"Default", "micc"})


@contextmanager
def ray_nodes(count: int) -> Iterator[RayNodes]:
    """A cluster of so many nodes of one processor on this machine."""
    nodes = RayNodes(nodes=count - 1)
    nodes.start()
    try:
        yield nodes
    finally:
        nodes.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(SHARES), default=list(SHARES))
    parser.add_argument("--fresh", action="store_true", help="a Python of its own for each")
    parser.add_argument("--share", action="store_true", help="one cluster for all that use Ray")
    parser.add_argument("--nodes", type=int, default=2, help="of one processor, of a cluster")
    parser.add_argument("--folder", type=Path, help="kept; else a temporary one")
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for every request
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as temporary:
        folder, launch = arguments.folder or Path(temporary), Started if arguments.fresh else Forked
        campaign = Campaign(folder, arguments.seed, arguments.share, launch, arguments.nodes)
        campaign.run(arguments.only, arguments.kills)
    sys.exit(1 if campaign.faults else 0)


if __name__ == "__main__":
    main()
