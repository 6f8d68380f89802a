"""Workers and commands end with whoever started them, however that ends."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from facebench import __version__
from facebench.processes import _start, commands_beside

START = """
import sys, time
from facebench.processes import worker_processes
from test_processes import tell_and_wait

if __name__ == "__main__":
    with worker_processes(1) as pool:
        pool.submit(tell_and_wait, sys.argv[1])
        time.sleep(600) if sys.argv[2] == "killed" else tell_and_wait("", sys.argv[1])
"""


def tell_and_wait(mine: str, theirs: str = "") -> None:
    """Note one's own process, or fail once the other has noted its."""
    if mine:
        draft = Path(f"{mine}.new")
        draft.write_text(str(psutil.Process().pid))
        draft.rename(mine)
    while not theirs or not Path(theirs).exists():
        time.sleep(0.05)
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_nobody_works_on_for_who_is_gone(how: str, tmp_path: Path) -> None:
    script, note = tmp_path / "start.py", tmp_path / "worker"
    script.write_text(START)
    command = [sys.executable, str(script), str(note), how]
    # One that a worker must not import, and temporary files where no socket can be.
    here, long = tmp_path / "here", tmp_path / ("long" * 30)
    here.mkdir()
    long.mkdir()
    (here / "torch.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    environment = {"PYTHONPATH": ":".join([str(Path(__file__).parent), *filter(None, sys.path)])}
    environment |= {"TMPDIR": str(long)} if how == "killed" else {}
    parent = subprocess.Popen(command, cwd=here, env=environment, stderr=subprocess.DEVNULL)
    while not note.exists():
        assert parent.poll() is None
        time.sleep(0.05)
    worker = int(note.read_text())
    if how == "killed":
        parent.kill()
    parent.wait(600)
    # Its job would never end. Where nobody takes its status it stays in the list of processes.
    end = time.monotonic() + 600
    with suppress(psutil.NoSuchProcess):  # it may be gone already
        while psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.05)
    assert not (tmp_path / "imported").exists()


def test_a_command_beside_others_ends_as_by_ctrl_c_with_who_started_it(tmp_path: Path) -> None:
    words = ["synth", "micc", "--out", str(tmp_path / "set"), "--subjects", "99"]
    process, printed = _start(words, {})
    with printed:
        while not (tmp_path / "set").exists():
            assert process.poll() is None
            time.sleep(0.05)
        assert process.stdin is not None
        # As the system does it for a process that dies.
        process.stdin.close()
        assert process.wait(60) == 130


def test_commands_beside_each_other_are_handed_on_as_they_end() -> None:
    told = {
        place: (status, text)
        for place, status, text in commands_beside([["--version"], ["nothing"]], 2, {})
    }
    assert told[0] == (0, f"facebench, version {__version__}\n")
    assert told[1][0] == 2 and "No command 'nothing'" in told[1][1]
