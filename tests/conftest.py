"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from run_watchdog import watch

# In CI the same examples each time: a change is judged by what it changed.
hypothesis.settings.register_profile("untimed", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("untimed")

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: one core a process
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray gives its workers niceness 15: beside the other half of the tests they would never run.
os.environ.setdefault("RAY_worker_niceness", "0")
# Networks that somebody fetched are the best there are, and would change what is tested.
FETCHED = os.environ.get("FACEBENCH_WEIGHTS", "")
os.environ["FACEBENCH_WEIGHTS"] = os.devnull


def pytest_configure(config: pytest.Config) -> None:
    """A run that hangs is ended and names what hung."""
    watch(config)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real face model and the oracles, beside the checkout; else a skip."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("needs the test material beside the checkout")
    return path


@pytest.fixture(scope="session")
def fetched() -> Iterator[None]:
    """The networks of `facebench weights get` where somebody has fetched them all; else a skip."""
    from facebench.recon.weights.catalogue import CATALOGUE, is_fetched

    with pytest.MonkeyPatch.context() as patch:
        if FETCHED:
            patch.setenv("FACEBENCH_WEIGHTS", FETCHED)
        else:
            patch.delenv("FACEBENCH_WEIGHTS")
        missing = [network.name for network in CATALOGUE if not is_fetched(network)]
        if missing:
            pytest.skip(f"needs 'facebench weights get {' '.join(missing)}'")
        yield


@pytest.fixture(autouse=True)
def _no_debugging() -> Iterator[None]:
    """A command that was run with --debug in this process leaves it on for its children."""
    os.environ.pop("FACEBENCH_DEBUG", None)
    yield
    os.environ.pop("FACEBENCH_DEBUG", None)
