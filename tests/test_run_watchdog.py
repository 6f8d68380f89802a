"""A test run ends and says why when a worker dies, hangs, or hangs outside of Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
QUICK = "def test_quick(): pass\n"
DIES = "import os, signal\ndef test_dies(): os.kill(os.getpid(), signal.SIGKILL)\n"
HANGS = "import time\ndef test_hangs(): time.sleep(3600)\n"
HANGS_AT_ITS_END = "import atexit, time\natexit.register(time.sleep, 3600)\n" + QUICK
CONFTEST = "from run_watchdog import watch\ndef pytest_configure(config): watch(config)\n"


HANGING: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "workers": ({"test_quick": QUICK, "test_stuck": HANGS}, ("-n2", "--dist=loadfile")),
    "one process": ({"test_quick": QUICK, "test_stuck": HANGS}, ()),
    "at its end": ({"test_quick": HANGS_AT_ITS_END}, ()),
}


def start(
    folder: Path, modules: dict[str, str], *options: str, silence: int = 3
) -> subprocess.Popen[str]:
    """A run of test modules under this project's settings."""
    for name, text in {"conftest": CONFTEST, **modules}.items():
        (folder / f"{name}.py").write_text(text)
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    settings += ["-p", "no:cacheprovider", "-p", "xdist.plugin", "-p", "pytest_timeout"]
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    environment |= {
        "FACEBENCH_TEST_SILENCE": str(silence),
        # Other plugins take longer to import than these runs.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(ROOT / "tests/support"),
    }
    command = [sys.executable, "-m", "pytest", *settings, *options, str(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def end(run: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit status and output."""
    with run:
        try:
            output, _ = run.communicate(timeout=250)
        finally:
            run.kill()
    return run.returncode, output


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.Popen[str]]:
    """All at once, as each waits for seconds of silence."""
    return {
        name: start(tmp_path_factory.mktemp("hanging"), modules, *options)
        for name, (modules, options) in HANGING.items()
    }


def test_a_killed_worker_ends_the_run_with_the_name_of_its_test(tmp_path: Path) -> None:
    modules = {f"test_{index}": QUICK for index in range(4)} | {"test_fatal": DIES}
    # Beside it, a silence that would not be waited for: the end is not the watchdog's.
    status, output = end(start(tmp_path, modules, "-n2", "--dist=loadfile", silence=3600))
    assert status == 1
    assert "crashed while running 'test_fatal.py::test_dies'" in output


@pytest.mark.parametrize("name", ["workers", "one process"])
def test_a_hanging_test_is_named_with_the_place_where_it_hangs(
    name: str, hanging: dict[str, subprocess.Popen[str]]
) -> None:
    status, output = end(hanging[name])
    assert status == 1
    assert "No test began or ended" in output
    assert "test_stuck.py::test_hangs for" in output
    assert "in test_hangs" in output


def test_a_run_that_does_not_end_after_its_last_test_is_ended(
    hanging: dict[str, subprocess.Popen[str]],
) -> None:
    status, output = end(hanging["at its end"])
    assert status == 1
    assert "no test for" in output


def test_a_run_without_a_fault_is_left_alone(tmp_path: Path) -> None:
    status, output = end(start(tmp_path, {"test_quick": QUICK}, silence=3600))
    assert status == 0, output
