"""One command at a time in a folder; a killed one neither holds it nor leaves rubbish."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facebench.errors import FacebenchError
from facebench.recon.files.writing import MARK, atomic_write, lock_folder, lock_rank_zero

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from facebench.recon.files.writing import atomic_write, lock_folder
with lock_folder(Path(sys.argv[1])), atomic_write(Path(sys.argv[1]) / "sub" / "table.csv") as draft:
    draft.write_text("half of it")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    time.sleep(60)
"""


def test_a_dead_command_holds_no_lock_even_if_its_children_live(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        with pytest.raises(FacebenchError, match="another command is writing"):
            _take(tmp_path)
        assert list(tmp_path.rglob("*.draft"))
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        os.kill(child, 0)  # it lives
        _take(tmp_path)
        assert not list(tmp_path.rglob("*.draft"))
        assert not (tmp_path / "sub" / "table.csv").exists()
    finally:
        holder.kill()
        os.kill(child, signal.SIGKILL)


def test_a_leader_waits_for_the_one_before(tmp_path: Path) -> None:
    begun = time.monotonic()
    with (
        lock_rank_zero(tmp_path),
        pytest.raises(FacebenchError, match="still writes"),
        lock_rank_zero(tmp_path, seconds=0.2),
    ):
        pass
    assert time.monotonic() - begun >= 0.2
    with lock_rank_zero(tmp_path):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "summary.json"
    old.write_text("old")
    with (
        pytest.raises(FacebenchError, match=r"summary\.json cannot be written: No space left"),
        atomic_write(old) as draft,
    ):
        draft.unlink()
        draft.symlink_to("/dev/full")
        draft.write_text("new")
    assert old.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def _take(folder: Path) -> None:
    with lock_folder(folder):
        pass


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, which only root may have."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_becomes_read_only_is_told_and_keeps_what_it_has(disk: Path) -> None:
    out = disk / "run"
    with lock_folder(out, "micc"), atomic_write(out / "items") as draft:
        draft.write_text("old")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for write in (atomic_write(out / "items"), lock_folder(out, "micc")):
        with pytest.raises(FacebenchError, match="Read-only file system"), write:
            pass
    assert (out / "items").read_text() == "old"
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    with lock_folder(out, "micc"), atomic_write(out / "items") as draft:
        draft.write_text("new")
    assert sorted(path.name for path in out.iterdir()) == [MARK, ".lock", "items"]
