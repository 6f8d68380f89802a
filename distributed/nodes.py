"""Whether every node of a Ray cluster can do the work: versions, paths, memory, clock, a job."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FacebenchError, Finding, error_line, failure, success, warning
from ..recon.morphable.load import load_model
from ..results.run.record import code_digest, package_versions
from .cluster import ONE_THREAD, is_connected, is_ours, ray_connection
from .timeout import NO_ROOM

NODE_SECONDS = 180.0
"""A node that gives no answer for so long is taken for lost: its first worker imports PyTorch."""

SAME_CODE = (
    "what is done is kept; install the same facebench on every node, 'facebench doctor --cluster' "
    "tells which differ, and run the command again"
)
_OTHER_CODE = "node {}: its facebench is another than the command's"

MIN_FREE_GB = 3.0
"""Of memory, for one worker with a network."""

CLOCK_SECONDS = 2.0
"""Clocks further apart make files of one node look newer than they are on another."""

JOB_SIDE, JOB_PRODUCTS = 512, 10


@dataclass(frozen=True)
class NodeReport:
    """What a node says of itself.

    Attributes:
        versions: packages that can move a number, and Python.
        paths: by path, what is there: names of a folder, size of a file, or nothing.
        memory_gb: that new processes may have.
        cores: that the process may use.
        digest: of the code and the embedded model there.
        job_seconds: of a fixed piece of arithmetic.
        ahead: seconds by which its clock is ahead of the asking process's, within `unsure`.
        unsure: half of the time that asking took.
    """

    versions: Mapping[str, str]
    paths: Mapping[str, str] = field(default_factory=dict)
    memory_gb: float = 0.0
    cores: int = 1
    digest: str = ""
    job_seconds: float = 0.0
    ahead: float = 0.0
    unsure: float = 0.0


def report_node(paths: Sequence[str]) -> NodeReport:
    """What there is on the machine that this runs on, after a short job."""
    start = time.perf_counter()
    square = np.random.default_rng(0).random((JOB_SIDE, JOB_SIDE))
    for _ in range(JOB_PRODUCTS):
        square = square @ square / JOB_SIDE
    seconds = time.perf_counter() - start
    # Not the free pages: what is kept of files is given up, and fills a node that has long worked.
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return NodeReport(
        versions=package_versions(),
        paths={path: _contents(Path(path)) for path in paths},
        memory_gb=1024 * int(memory["MemAvailable"].split()[0]) / 1e9,
        cores=len(os.sched_getaffinity(0)),
        digest=code_digest() + load_model("embedded").digest,
        job_seconds=seconds,
    )


def _contents(path: Path) -> str:
    """A fingerprint of a folder or file, to compare those of one name; empty for none."""
    try:
        if path.is_dir():
            return " ".join(sorted(one.name for one in path.iterdir())) or "an empty folder"
        return f"{path.stat().st_size} bytes"
    except OSError:
        return ""


def check_nodes(address: str, paths: Sequence[Path]) -> Iterator[Finding]:
    """A finding for each node that is sound, and one for everything that is wrong with another.

    Args:
        address: of the head, or empty for `RAY_ADDRESS` or the cluster this machine belongs to.
        paths: that every node must see as this machine does.
    """
    if address:
        os.environ["RAY_ADDRESS"] = address
    names = [str(path.absolute()) for path in paths]
    mine = report_node(names)
    for name, content in mine.paths.items():
        if not content:
            yield failure(name, "is not on this machine", "give paths that the run will be given")
    try:
        with ray_connection(cluster=True):
            yield from _ask_all(names, mine)
    except FacebenchError as error:
        yield failure("Ray", error.message, error.hint)


def _ask_all(paths: Sequence[str], mine: NodeReport) -> Iterator[Finding]:
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    yield success("nodes", f"{len(alive)} alive, {len(ray.nodes()) - len(alive)} lost")
    asked = [(node, _ask(node["NodeID"], report_node, list(paths))) for node in alive]
    for node, answer in asked:
        name = f"node {node['NodeManagerAddress']} ({node['NodeID'][:6]})"
        try:
            report = _with_clock(ray.get(answer, timeout=NODE_SECONDS), node["NodeID"])
        except ray.exceptions.GetTimeoutError:
            said = f"no answer for {NODE_SECONDS:.0f} s"
            yield failure(name, said, "look at its raylet.out, or take it off the cluster")
        except ray.exceptions.WorkerCrashedError:
            yield failure(name, "its workers die as they start", NO_ROOM)
        except (ray.exceptions.RayError, ImportError) as error:
            yield failure(name, error_line(error), "install the same facebench on every node")
        else:
            yield from judge_node(name, report, mine)


def _ask(node: str, work: Callable[..., object], *given: object) -> Any:
    """Ray's promise of what a function gives on a node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # No processor asked for: a head of none, or a node that is busy, answers too.
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(num_cpus=0, runtime_env=ONE_THREAD, scheduling_strategy=there)(work)
    return task.remote(*given)


def _with_clock(report: NodeReport, node: str) -> NodeReport:
    """The report with how far the clock is ahead, asked of a worker that runs already."""
    import ray

    before = time.time()
    found = ray.get(_ask(node, _clock), timeout=NODE_SECONDS)
    after = time.time()
    return replace(report, ahead=found - (before + after) / 2, unsure=(after - before) / 2)


def _clock() -> float:
    """Ray sends no function that is built in."""
    return time.time()


def judge_node(name: str, report: NodeReport, mine: NodeReport) -> Iterator[Finding]:
    """What is wrong with a node beside the machine that asks, or that it is sound."""
    wrong = [*_differences(name, report, mine)]
    yield from wrong
    if not wrong:
        said = f"{report.cores} cores, {report.memory_gb:.1f} GB free, "
        said += f"clock {report.ahead:+.2f} s, job {report.job_seconds:.2f} s"
        yield success(name, said)


def _differences(name: str, report: NodeReport, mine: NodeReport) -> Iterator[Finding]:
    others = {
        package: (theirs, mine.versions[package])
        for package, theirs in report.versions.items()
        if mine.versions.get(package, theirs) != theirs
    }
    if others:
        said = ", ".join(f"{one} {theirs}, here {own}" for one, (theirs, own) in others.items())
        yield failure(name, said, "the same versions on every node: pip install -c constraints.txt")
    if report.digest != mine.digest:
        yield failure(name, "its facebench is another", "install the same there as here")
    for path, content in report.paths.items():
        if not content:
            yield failure(name, f"{path} is not there", "mount it under the same path")
        elif content != mine.paths[path]:
            said = f"{path} holds something else than here"
            yield failure(name, said, "mount the same disk under this path, or copy it anew")
    if report.memory_gb < MIN_FREE_GB:
        said = f"{report.memory_gb:.1f} GB of memory free"
        yield warning(name, said, f"{MIN_FREE_GB:g} GB a worker are advised")
    if abs(report.ahead) - report.unsure > CLOCK_SECONDS:
        yield warning(name, f"its clock is {report.ahead:+.0f} s off", "start NTP (chrony) there")


def expected_code() -> str:
    """Digest of the code that workers must have; empty where all are of this machine.

    Raises:
        FacebenchError: a node holds other code.
    """
    if is_ours() or not is_connected():
        return ""
    code = code_digest()
    for address, theirs in _codes_of_nodes():
        if theirs != code:
            raise FacebenchError(_OTHER_CODE.format(address), SAME_CODE)
    return code


def other_code(expected: str) -> str:
    """Why this worker may not compute: its node holds other code than `expected_code`; or empty.

    For nodes that came later than the command.
    """
    import ray

    if not expected or expected == code_digest():
        return ""
    return _OTHER_CODE.format(ray.util.get_node_ip_address())


def _codes_of_nodes() -> Iterator[tuple[str, str]]:
    """Address and digest of every node that computes, and answers."""
    import ray

    # Inside of a function Ray sends it whole: code that is older than this check answers, too.
    def digest() -> str:
        try:
            from ..results.run.record import code_digest
        except ImportError:
            return ""
        return code_digest()

    # A head without either computes nothing.
    able = {"CPU", "GPU"}
    nodes = [node for node in ray.nodes() if node["Alive"] and able & node["Resources"].keys()]
    asked = [(node["NodeManagerAddress"], _ask(node["NodeID"], digest)) for node in nodes]
    for address, answer in asked:
        # One that is lost or full is met, and reported, by the work itself.
        with suppress(ray.exceptions.RayError):
            yield address, ray.get(answer, timeout=NODE_SECONDS)
