"""What is handed on behind the work that brings it: all of it, in order, and never for ever."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from facebench.distributed.tasks import Behind


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
