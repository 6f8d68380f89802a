"""A training on two Ray nodes of this machine, one of which is lost.

Minutes of waiting for Ray to notice: run with FACEBENCH_TEST_NODES=1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from training_faces import small_recipe, write_training_faces

from facebench.distributed.train import train
from facebench.recon.training.optimise import Row
from facebench.recon.training.run import TrainingJob

pytestmark = pytest.mark.skipif(
    "FACEBENCH_TEST_NODES" not in os.environ, reason="takes minutes; set FACEBENCH_TEST_NODES=1"
)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Ray's own patience is made for machines that are slow for a while; it takes 2 minutes here.
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "15")
    monkeypatch.setenv("RAY_health_check_period_ms", "500")
    monkeypatch.setenv("RAY_health_check_timeout_ms", "1000")
    monkeypatch.setenv("RAY_health_check_failure_threshold", "4")
    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, connect=True, head_node_args=head)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_lost_node_costs_time_and_nothing_else(nodes: Cluster, tmp_path: Path) -> None:
    faces = write_training_faces(tmp_path / "data")
    model, recipe = str(tmp_path / "data" / "model.npz"), small_recipe("training.steps=14")
    alone = TrainingJob(faces, recipe, model, tmp_path / "alone", threads=1)
    train(alone, workers=1, cluster=False, listen=lambda row: None)
    second = nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    lost: list[float] = []

    def lose_a_node(row: Row) -> None:
        if row["step"] >= 4 and not lost:
            lost.append(row["step"])
            nodes.remove_node(second, allow_graceful=False)

    pair = TrainingJob(faces, recipe, model, tmp_path / "pair", threads=1)
    train(pair, workers=2, cluster=True, listen=lose_a_node, least_workers=1)
    assert lost
    assert lost[0] < 14
    expected, found = (one.folder.read(one.folder.log) for one in (alone, pair))
    assert [row["step"] for row in found] == list(range(1, 15))
    # The first worker logs its own share: with two workers not the same photographs' mean.
    assert found[-1]["landmark"] == pytest.approx(expected[-1]["landmark"], rel=0.02)
    assert pair.folder.weights.is_file()
