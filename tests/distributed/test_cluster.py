"""Connecting to Ray: a missing cluster is one line, a local one ends with its block."""

from __future__ import annotations

import pytest
import ray

from facebench.distributed.cluster import connected, total
from facebench.errors import FacebenchError


def test_no_cluster_is_told_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(FacebenchError, match=r"127\.0\.0\.1:1.*--cluster"), connected(cluster=True):
        pass
    assert not ray.is_initialized()


def test_a_local_cluster_lasts_as_long_as_its_block() -> None:
    with connected(cluster=False):
        assert total("CPU") >= 1 and total("unheard of") == 0
        with connected(cluster=False):
            pass
        assert ray.is_initialized()
    assert not ray.is_initialized()
