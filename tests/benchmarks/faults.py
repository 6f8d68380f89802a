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
import logging
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from fault_trials import Reference, Trial, full_disk, moved_clock, read_only_disk
from fault_works import Work, audit, benchmark, connect_in, in_store, table, training
from object_store import ObjectStore, object_store
from ray_nodes import RayNodes
from victims import Command, Forked, Started

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

STORED = "s3-"
"""What begins the names of works in an object store."""


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
