"""Many jobs in tasks of their own, on a real Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest
import ray

from facebench.distributed import nodes
from facebench.distributed.cluster import LAST_WORDS
from facebench.distributed.tasks import in_tasks
from facebench.errors import FacebenchError

pytestmark = pytest.mark.usefixtures("ray_running")


def divide(number: int, by: int) -> float:
    """A job that can fail."""
    if number == 3:
        raise FacebenchError("three is not divided")
    return number / by


def test_each_job_comes_with_its_result_or_its_error_and_few_are_taken_ahead() -> None:
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        for number in range(12):
            taken += 1
            yield number

    found = {}
    ahead = 2 * int(ray.cluster_resources()["CPU"])
    for job, result in in_tasks(partial(divide, by=2), jobs()):
        assert taken <= len(found) + 1 + ahead
        found[job] = result
    assert sorted(found) == list(range(12))
    assert isinstance(found.pop(3), ray.exceptions.RayTaskError)
    assert found == {number: number / 2 for number in range(12) if number != 3}


def test_a_node_with_other_code_does_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked before there is a job, and one that came later has its workers ask."""
    jobs = iter([1, 2])
    with monkeypatch.context() as patch:
        patch.setattr(nodes, "is_ours", lambda: False)
        patch.setattr(nodes, "code_digest", lambda: "another")
        with pytest.raises(FacebenchError, match=r"node .*: its facebench is another"):
            list(in_tasks(partial(divide, by=2), jobs))
    assert list(jobs) == [1, 2]
    monkeypatch.setattr(nodes, "expected_code", lambda: "another")
    with pytest.raises(FacebenchError, match=r"node .*: its facebench is another"):
        list(in_tasks(partial(divide, by=2), [1, 2]))


def test_who_is_ended_from_within_has_last_words() -> None:
    """As Ray does to a process whose cluster is gone."""
    program = """
import os
from facebench.distributed.cluster import ray_connection
with ray_connection(cluster=True):
    os._exit(1)
"""
    address = ray.get_runtime_context().gcs_address
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ, RAY_ADDRESS=address),
    )
    assert run.returncode == 1 and run.stderr.splitlines()[-1] == LAST_WORDS
