"""What every test may use."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from sqlite3 import dbapi2
from typing import Any

import hypothesis
import pytest
from object_store import ObjectStore
from object_store import object_store as running_store
from run_watchdog import watch

# In CI the same examples each time: a change is judged by what it changed.
# FACEBENCH_SLOW=1 tries as many as Hypothesis itself would.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    derandomize="CI" in os.environ,
    max_examples=100 if "FACEBENCH_SLOW" in os.environ else 40,
)
hypothesis.settings.load_profile("untimed")

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: one core a process
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray gives its workers niceness 15: beside the other half of the tests they would never run.
os.environ.setdefault("RAY_worker_niceness", "0")
# Ray Train looks at its workers, and sees that they are done, every two seconds.
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.25")
# Networks that somebody fetched are the best there are, and would change what is tested.
FETCHED = os.environ.get("FACEBENCH_WEIGHTS", "")
os.environ["FACEBENCH_WEIGHTS"] = os.devnull

# One MLflow store for all tests that need none of their own: to make one costs seconds.
if "MLFLOW_TRACKING_URI" not in os.environ:
    STORE = tempfile.mkdtemp(prefix="facebench-tests-")
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{STORE}/mlflow.db"
    atexit.register(shutil.rmtree, STORE, ignore_errors=True)

RAY = ExitStack()
"""The connection of `ray_running`, ended with the last file in a row that asks for it."""


def pytest_configure(config: pytest.Config) -> None:
    """A run that hangs is ended and names what hung; nothing is garbage before the tests begin."""
    watch(config)
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that share a Ray come first, one after the other; the order within a file stays.

    The many short files of `recon` come last: two processes end together then.
    """
    items.sort(key=lambda item: (not _asks_for_ray(item), "recon" in item.path.parts))


def _asks_for_ray(item: pytest.Item) -> bool:
    return "ray_running" in getattr(item, "fixturenames", ())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files that share a Ray are one piece of work: the other process computes beside it."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "Ray" if _shares_ray(config.rootpath / file) else file

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@cache
def _shares_ray(file: Path) -> bool:
    return "ray_running" in file.read_text(encoding="utf-8")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where Ray is connected commands use it: nobody shall find it connected by chance."""
    if not _asks_for_ray(item):
        RAY.close()


def pytest_collection_finish() -> None:
    # Modules and tests stay to the end: no collection of garbage needs to walk through them again.
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    RAY.close()


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """What tests write need not outlast a power cut: they would wait for disks most of the time."""
    connect = dbapi2.connect

    def connected(*arguments: Any, **settings: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **settings)
        # Of what is no database the test's own statement shall say so.
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA synchronous = OFF")
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(dbapi2, "connect", connected)
        yield


@pytest.fixture(scope="module")
def ray_running() -> None:
    """A Ray of this machine, kept for the files that follow: a start costs 8 processor seconds.

    All tests of a file must ask for it: `pytestmark = pytest.mark.usefixtures("ray_running")`.
    """
    import ray

    from facebench.distributed.cluster import ray_connection

    if not ray.is_initialized():
        RAY.enter_context(ray_connection(cluster=False))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow with no run in it, to be copied.

    With a tag: of one without anything nobody could tell whether MLflow had finished making it, and
    it would be made again.
    """
    from mlflow import MlflowClient

    from facebench.results.tracking.store import _make_store, holds_nothing

    database = tmp_path_factory.mktemp("empty-store") / "mlflow.db"
    _make_store(database)
    MlflowClient(f"sqlite:///{database}").set_experiment_tag("0", "made by", "tests")
    assert not holds_nothing(database)
    # That of all tests begins as a copy too, where it has not begun.
    common = Path(os.environ["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///"))
    if not common.exists():
        shutil.copy(database, common)
    return database


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real face model and the oracles, beside the checkout; else a skip."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("needs the test material beside the checkout")
    return path


@pytest.fixture(scope="module")
def fetched() -> Iterator[None]:
    """The networks of `facebench weights get` where somebody has fetched them all; else a skip.

    For the tests of a file: those that follow elsewhere expect the embedded ones again.
    """
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


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """An S3 server on the loopback interface, one for all tests; a skip without moto."""
    with running_store() as store:
        yield store


@pytest.fixture
def bucket(object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty bucket, with the environment that leads to it."""
    for name, value in object_store.environment(tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    return object_store.new_bucket()


@pytest.fixture(autouse=True)
def _no_debugging() -> Iterator[None]:
    """A command that was run with --debug in this process leaves it on for its children."""
    os.environ.pop("FACEBENCH_DEBUG", None)
    yield
    os.environ.pop("FACEBENCH_DEBUG", None)
