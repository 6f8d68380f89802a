"""Nodes of a cluster held to the machine that asks."""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facebench.distributed import nodes as nodes_module
from facebench.distributed.nodes import NodeReport, check_nodes, judge_node, report_node
from facebench.errors import Verdict
from facebench.results.run.record import code_digest

MINE = NodeReport({"ray": "2.60.0", "torch": "2.13"}, {"/shared": "a b"}, 16.0, 8, "d")


def test_a_node_like_this_one_is_sound() -> None:
    (finding,) = judge_node("node", replace(MINE, ahead=0.4, unsure=0.1), MINE)
    assert finding.verdict is Verdict.PASSED and "8 cores" in finding.detail


@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        ({"versions": {"ray": "2.60.0", "torch": "2.9"}}, Verdict.FAILED, "torch 2.9, here 2.13"),
        ({"paths": {"/shared": ""}}, Verdict.FAILED, "/shared is not there"),
        ({"paths": {"/shared": "a"}}, Verdict.FAILED, "holds something else"),
        ({"digest": "e"}, Verdict.FAILED, "facebench is another"),
        ({"memory_gb": 1.0}, Verdict.WARNING, "1.0 GB of memory"),
        ({"ahead": -40.0, "unsure": 1.0}, Verdict.WARNING, "-40 s off"),
    ],
)
def test_what_is_wrong_with_a_node_is_told(
    change: dict[str, Any], verdict: Verdict, said: str
) -> None:
    (finding,) = judge_node("node", replace(MINE, **change), MINE)
    assert finding.verdict is verdict and said in finding.detail and finding.advice


def test_a_slow_answer_is_no_wrong_clock() -> None:
    (finding,) = judge_node("node", replace(MINE, ahead=9.0, unsure=8.0), MINE)
    assert finding.verdict is Verdict.PASSED


def test_a_node_tells_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    (tmp_path / "a").write_text("abc")
    places = [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "lost")]
    report = report_node(places)
    assert report.paths == dict(zip(places, ["a b", "3 bytes", ""], strict=True))
    assert report.versions["python"] and report.memory_gb > 0 and report.job_seconds > 0


def test_no_cluster_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "")
    lost, ray = check_nodes("127.0.0.1:9", [tmp_path / "lost"])
    assert (lost.verdict, ray.verdict) == (Verdict.FAILED, Verdict.FAILED)
    assert "no Ray cluster answers at 127.0.0.1:9" in ray.detail


def test_who_has_no_cluster_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training in this process starts no Ray."""
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "nodes", lambda: pytest.fail("asked"))
    assert nodes_module.expected_code() == ""


def test_a_node_without_room_is_told_to_make_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk of its logs is full, each of its workers dies as it starts."""
    import ray

    def get(answer: object, timeout: float) -> None:
        raise ray.exceptions.WorkerCrashedError

    node = {"Alive": True, "NodeID": "abcdef0", "NodeManagerAddress": "n1"}
    monkeypatch.setattr(ray, "nodes", lambda: [node])
    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(nodes_module, "_ask", lambda *_: None)
    monkeypatch.setattr(nodes_module, "ray_connection", lambda cluster: nullcontext())
    _, finding = check_nodes("", [])
    assert finding.verdict is Verdict.FAILED and "df /tmp/ray" in finding.advice


def test_code_from_before_the_check_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a node is asked does not come from its own package, which may lack the question."""
    import ray

    node = {"Alive": True, "NodeID": "abcdef0", "NodeManagerAddress": "n1", "Resources": {"CPU": 1}}
    head = {**node, "Resources": {"memory": 1}}
    monkeypatch.setattr(ray, "nodes", lambda: [node, head])
    monkeypatch.setattr(nodes_module, "_ask", lambda node, work: ray.cloudpickle.dumps(work))
    monkeypatch.setattr(ray, "get", lambda sent, timeout: sent)
    ((_, sent),) = nodes_module._codes_of_nodes()
    assert pickle.loads(sent)() == code_digest()
    for name in ("distributed.nodes", "results.run.record"):
        monkeypatch.setitem(sys.modules, f"facebench.{name}", None)
    assert pickle.loads(sent)() == ""


@pytest.mark.skipif("FACEBENCH_TEST_NODES" not in os.environ, reason="starts two Ray nodes")
def test_every_node_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    try:
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        count, *nodes = check_nodes(cluster.address, [tmp_path])
    finally:
        cluster.shutdown()
    assert count.detail == "2 alive, 0 lost" and len(nodes) == 2
    assert all(one.verdict is not Verdict.FAILED for one in nodes)
