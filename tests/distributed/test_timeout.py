"""Waiting for a cluster that has become too small ends; a slow one is waited for."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import ray

from facebench.distributed import timeout
from facebench.distributed.timeout import TIMEOUT, Needs, cluster_timeout
from facebench.errors import FacebenchError

pytestmark = pytest.mark.usefixtures("ray_running")
TOO_MUCH = Needs(cpus=1000)


def sleep(seconds: float) -> None:
    """A job."""
    time.sleep(seconds)


def die() -> None:
    """A job that ends its worker."""
    os._exit(1)


def doze() -> None:
    """A job that is longer than any test."""
    time.sleep(60)


@contextmanager
def interruptions(handler: Callable[..., object] | signal.Handlers) -> Iterator[None]:
    """Ctrl-C is taken by a handler."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, "1")


@pytest.mark.parametrize("needs", [TOO_MUCH, Needs(cpus=1, gpus=1000)])
def test_what_never_comes_is_given_up_in_one_line(needs: Needs) -> None:
    never = ray.remote(num_cpus=1000)(sleep).remote(0)
    began = time.monotonic()
    with (
        pytest.raises(FacebenchError, match=r"is down to .* processors.*goes on"),
        cluster_timeout(needs),
    ):
        ray.wait([never])
    assert time.monotonic() - began < 30


def test_a_job_in_the_background_gives_up_too() -> None:
    """A shell lets its background jobs ignore Ctrl-C."""
    with interruptions(signal.SIG_IGN):
        test_what_never_comes_is_given_up_in_one_line(TOO_MUCH)


def test_a_cluster_that_is_large_enough_may_take_its_time() -> None:
    slow = ray.remote(num_cpus=1)(sleep).remote(2.5)
    with cluster_timeout(Needs(cpus=1)):
        ray.get(slow)


def test_nodes_whose_workers_die_as_they_start_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the disk of their logs is full: Ray tries for ever."""
    monkeypatch.setattr(timeout, "_do_nothing", die)
    never = ray.remote(num_cpus=1000)(sleep).remote(0)
    with (
        pytest.raises(FacebenchError, match=r"every worker of Ray dies.*make room.*goes on"),
        cluster_timeout(Needs(cpus=1)),
    ):
        ray.wait([never])


def test_what_comes_while_nodes_are_asked_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster_timeout(Needs(cpus=1)) as heartbeat:
        asked = threading.Event()

        def ask(over: threading.Event) -> list[str]:
            heartbeat()
            asked.set()
            return ["n1"]

        monkeypatch.setattr(timeout, "_nodes_without_workers", ask)
        assert asked.wait(20)
        time.sleep(0.5)


def test_nobody_asks_nodes_once_all_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray may then be ended, and what still waits in it would end with a traceback or worse."""
    monkeypatch.setattr(timeout, "_do_nothing", doze)
    begun = threading.Event()
    nodes = timeout._nodes_without_workers

    def ask(over: threading.Event) -> list[str]:
        begun.set()
        return nodes(over)

    monkeypatch.setattr(timeout, "_nodes_without_workers", ask)
    with cluster_timeout(Needs(cpus=1)):
        assert begun.wait(20)
        time.sleep(0.5)
    assert not any(isinstance(one, timeout._Watchdog) for one in threading.enumerate())


def test_as_long_as_something_comes_it_is_waited_for() -> None:
    with cluster_timeout(TOO_MUCH) as heartbeat:
        for _ in range(6):
            time.sleep(0.3)
            heartbeat()


def test_an_interruption_stays_one() -> None:
    """Also where the tests themselves run in the background."""
    with (
        interruptions(signal.default_int_handler),
        pytest.raises(KeyboardInterrupt),
        cluster_timeout(Needs(cpus=1)),
    ):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan"])
def test_a_timeout_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(TIMEOUT, text)
    with pytest.raises(FacebenchError, match="seconds"), cluster_timeout(Needs(cpus=1)):
        pass
