"""Many jobs in tasks of their own, on a real Ray."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial

import pytest
import ray

from facebench.distributed.tasks import Behind, in_tasks
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


def test_what_comes_is_handed_on_in_order_and_together_where_much_waits() -> None:
    taken: list[list[int]] = []
    free = threading.Event()

    def take(some: Sequence[int]) -> None:
        assert free.wait(30)
        taken.append([*some])

    with pytest.raises(KeyboardInterrupt), Behind(take) as behind:
        for number in range(100):
            behind.put(number)
        free.set()
        raise KeyboardInterrupt  # what came is handed on nevertheless
    assert [number for some in taken for number in some] == [*range(100)]
    assert len(taken) <= 3


def test_a_failure_behind_is_raised_and_nobody_waits_for_ever() -> None:
    def take(some: Sequence[int]) -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"), Behind(take) as behind:
        for number in range(10 * Behind.MOST):
            behind.put(number)
    with pytest.raises(OSError, match="no room"), Behind(take) as behind:
        behind.put(0)
