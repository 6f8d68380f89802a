"""A Ray cluster of several nodes on this machine, any of which can be lost."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from typing import Any

import psutil

ATTEMPTS = 5

QUICK = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "60",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "15",
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_gcs_server_port_wait_time_s": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_worker_niceness": "0",
}
"""Ray's own patience with what runs is made for machines that are slow for a while and takes
minutes; that with what starts, 30 seconds, is too short for a busy one. Workers are no nicer than
the command, as those of a Ray that `facebench.distributed.cluster` starts."""


class RayNodes:
    """A head and nodes with one processor each.

    Args:
        nodes: how many beside the head.
        head_cpus: processors of the head.
    """

    def __init__(self, nodes: int = 2, head_cpus: int = 1) -> None:
        os.environ.update(QUICK)
        self._count, self._head_cpus = nodes, head_cpus
        self._cluster: Any = None
        self._nodes: list[Any] = []

    def start(self) -> None:
        """A new cluster; the one before, if any, is forgotten."""
        for attempt in range(ATTEMPTS):
            try:
                self._begin()
                return
            except Exception:  # Ray gives a node 30 seconds, which a busy machine may not have
                if attempt == ATTEMPTS - 1:
                    raise
                _end_processes_of_ray()

    def _begin(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": self._head_cpus, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes = [self._cluster.add_node(num_cpus=1) for _ in range(self._count)]

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to find it."""
        return {"RAY_ADDRESS": self._cluster.address}

    @property
    def pids(self) -> list[int]:
        """Of each node's raylet, whose children its workers are; the head's is not among them."""
        return [node.all_processes["raylet"][0].process.pid for node in self._nodes]

    def lose_one(self, choice: random.Random) -> None:
        """Kill a node's processes, and let another come in its place."""
        lost = self._nodes.pop(choice.randrange(len(self._nodes)))
        self._cluster.remove_node(lost, allow_graceful=False)
        self._nodes.append(self._add_node())

    def _add_node(self) -> Any:
        for _ in range(ATTEMPTS - 1):
            with suppress(Exception):  # as in `start`
                return self._cluster.add_node(num_cpus=1)
        return self._cluster.add_node(num_cpus=1)

    def lose_head(self) -> None:
        """Kill the head and all nodes with it, as where a cluster's machines go together."""
        self.stop()

    def stop(self) -> None:
        """End all."""
        for node in self._nodes:
            node.kill_all_processes(check_alive=False, allow_graceful=False)
        self._cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
        self._nodes = []


def _end_processes_of_ray() -> None:
    """Those of this process that a start which failed has left behind."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any("/ray/" in word for word in process.cmdline()):
                process.kill()
