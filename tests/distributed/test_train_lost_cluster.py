"""A training on a cluster whose driver is killed, and then whose head and all nodes are lost.

Minutes of waiting for Ray: run with FACEBENCH_TEST_NODES=1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_works import training
from ray_nodes import RayNodes
from victims import wait_for

from facebench.recon.training.loop import TrainingFolder

pytestmark = pytest.mark.skipif(
    "FACEBENCH_TEST_NODES" not in os.environ, reason="takes minutes; set FACEBENCH_TEST_NODES=1"
)


@pytest.fixture
def nodes() -> Iterator[RayNodes]:
    cluster = RayNodes()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.mark.timeout(900)
def test_the_same_command_goes_on_whoever_is_lost(nodes: RayNodes, tmp_path: Path) -> None:
    """The workers of the killed driver may still write when the same command is given again."""
    work = training(tmp_path, steps=60, workers=2)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert work.start(whole).finish() == 0, work.log.read_text()

    first = work.start(cut, "--cluster", **nodes.environment)
    assert wait_for(lambda: _steps(cut) >= 6, 200), work.log.read_text()
    first.kill()
    second = work.start(cut, "--cluster", **nodes.environment)
    kept = _steps(cut)
    assert wait_for(lambda: second.ended or _steps(cut) >= kept + 6, 200), work.log.read_text()
    nodes.lose_head()
    if not wait_for(lambda: second.ended, 150):
        second.kill()
    nodes.start()
    third = work.start(cut, "--cluster", **nodes.environment)
    assert third.finish() == 0, work.log.read_text()
    assert work.differences(whole, cut) == []


def _steps(folder: Path) -> float:
    log = TrainingFolder(folder)
    return max((row["step"] for row in log.read(log.log)), default=0.0)
