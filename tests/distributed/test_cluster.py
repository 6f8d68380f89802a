"""Connecting to Ray: a missing cluster is one line, a local one ends with its block."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback

import pytest
import ray
from ray._private import node
from ray._private.utils import check_version_info

from facebench.distributed import cluster
from facebench.distributed.cluster import ray_connection, total
from facebench.errors import FacebenchError


def test_no_cluster_is_told_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with (
        pytest.raises(FacebenchError, match=r"127\.0\.0\.1:1.*--cluster"),
        ray_connection(cluster=True),
    ):
        pass
    assert not ray.is_initialized()


def test_a_cluster_of_other_versions_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Ray's own words, of which ours are made."""
    others = {"ray_version": "2.40.0", "python_version": "3.12.1"}
    monkeypatch.setattr(ray, "init", lambda **_: check_version_info(others, "node 10.0.0.1:1"))
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    said = rf"Ray 2\.40\.0 and Python 3\.12\.1, this command of Ray {ray.__version__} and .*same"
    with pytest.raises(FacebenchError, match=said), ray_connection(cluster=True):
        pass


def test_a_step_uses_the_ray_of_the_command_that_started_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(cluster, "_check_answers", asked.append)
    monkeypatch.setattr(cluster, "_initialise", asked.append)
    monkeypatch.setattr(cluster, "_OURS", threading.Event())
    monkeypatch.setenv(cluster.STEP_OF, "127.0.0.1:2")
    cluster._connect(cluster=False)
    assert asked == ["127.0.0.1:2"] * 2 and cluster.is_ours()


@pytest.mark.parametrize("asked", [True, False])
def test_a_cluster_that_wants_a_token_is_told(monkeypatch: pytest.MonkeyPatch, asked: bool) -> None:
    """Of a wrong one Ray tells in a traceback's text, of none before it asks."""

    def init(**_: object) -> None:
        try:
            raise ray.exceptions.AuthenticationError("InvalidAuthToken")
        except ray.exceptions.RayError:
            if not asked:
                raise
            cause = RuntimeError(f"Failed to connect to GCS: {traceback.format_exc()}")
        raise ConnectionError("Failed to connect to Ray cluster") from cause

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    said = r"at this machine wants a token; .*RAY_AUTH_MODE=token"
    with pytest.raises(FacebenchError, match=said), ray_connection(cluster=True):
        pass


@pytest.mark.skipif("FACEBENCH_SLOW" not in os.environ, reason="a start of Ray: FACEBENCH_SLOW=1")
def test_a_raylet_that_dies_in_a_slow_start_is_started_again_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ray itself would ask for it for as long as for a slow one."""
    monkeypatch.setattr(cluster, "SLOW_SECONDS", 0.0)
    for name, limit in cluster.PATIENT.items():
        monkeypatch.setenv(name, limit)  # undone after the test
    starts: list[object] = []
    begin, start_raylet = ray.init, node.Node.start_raylet

    def start_and_kill(self: node.Node, *what: object, **how: object) -> None:
        start_raylet(self, *what, **how)
        if len(starts) == 1:
            self.all_processes["raylet"][0].process.kill()

    monkeypatch.setattr(node.Node, "start_raylet", start_and_kill)
    monkeypatch.setattr(ray, "init", lambda **how: (starts.append(how), begin(**how)))
    with ray_connection(cluster=False):
        said = capfd.readouterr().err
        assert said.count(cluster.SLOW_START) == len(starts) == 2
        assert cluster.ENDED.format("raylet") in said
        assert total("CPU") >= 1 and total("unheard of") == 0
        with ray_connection(cluster=False):
            pass
        assert ray.is_initialized()
    assert not ray.is_initialized()


def test_a_part_that_another_ray_lacks_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_UNUSED", ("start_monitor", "start_of_another_version"))
    whole = node.Node.start_monitor
    with cluster._without_unused_parts():
        assert node.Node.start_monitor is not whole
    assert node.Node.start_monitor is whole
    assert not hasattr(node.Node, "start_of_another_version")


def test_a_start_that_fails_at_once_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not slow, it is broken: waiting would not help."""
    for name, limit in cluster.PATIENT.items():
        monkeypatch.setenv(name, limit)
    monkeypatch.setenv("RAY_TMPDIR", "/dev/null/no-folder")
    with (
        pytest.raises(FacebenchError, match="Ray did not start on this machine"),
        ray_connection(cluster=False),
    ):
        pass
    assert not ray.is_initialized()


_WAITS_ON_RAY = """
import signal, sys, time
from facebench.distributed.cluster import ray_connection

signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    with ray_connection(False):
        print("ready", flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_request_to_end_is_the_commands_to_answer_and_not_rays() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _WAITS_ON_RAY], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert (
        b"***" not in said and b"Traceback" not in said and cluster.LAST_WORDS.encode() not in said
    )
