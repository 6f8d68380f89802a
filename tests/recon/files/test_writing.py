"""Files that are written whole or not at all, wherever they go, and known by what they hold."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from facebench.errors import FacebenchError
from facebench.recon.files import contents
from facebench.recon.files.writing import MARK, atomic_write, lock_folder, sweep_drafts


def test_a_link_is_followed_and_modes_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "real.txt", tmp_path / "link.txt"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with atomic_write(link) as draft:
        draft.write_text("new")
    assert link.is_symlink() and target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.txt", "real.txt"]


def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    with atomic_write(pipe) as draft:
        draft.write_text("all of it")
    reader.join(10)
    assert got == ["all of it"] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as draft:
        draft.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("place", ["a.txt/b.txt", ".", "x" * 300])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "a.txt").write_text("a file")
    with pytest.raises(FacebenchError), atomic_write(tmp_path / place) as draft:
        draft.write_text("x")


def test_only_drafts_of_dead_writers_are_removed(tmp_path: Path) -> None:
    keep = tmp_path / ".essay.draft"
    keep.write_text("mine")
    with atomic_write(tmp_path / "a") as draft:
        draft.write_text("x")
        living = draft.name
        dead = tmp_path / living.replace(str(os.getpid()), "999999999")
        dead.write_text("x")
        other = tmp_path / f".{'0' * 8}-1-{'0' * 16}.draft"
        other.write_text("x")
        child = os.getppid()
        parent = tmp_path / living.replace(str(os.getpid()), str(child))
        parent.write_text("x")
        (tmp_path / ".link.draft").symlink_to(keep)
        sweep_drafts(tmp_path)
        draft.touch()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".essay.draft", ".link.draft", "a", other.name, parent.name}


def test_a_clock_that_was_set_back_makes_no_draft_old(tmp_path: Path) -> None:
    """What was written before lies in the future, and says nothing of a draft of today."""
    (tmp_path / "rows.parquet").touch()
    os.utime(tmp_path / "rows.parquet", (time.time() + 1e7,) * 2)
    fresh, old = (tmp_path / f".{'0' * 8}-{n}-{'0' * 16}.draft" for n in (1, 2))
    fresh.touch()
    old.touch()
    os.utime(old, (time.time() - 1e7,) * 2)
    sweep_drafts(tmp_path)
    assert fresh.exists() and not old.exists()


def test_hashes_are_of_contents_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "scan.obj"
    path.write_bytes(b"one")
    date = time.time() - 1e6
    for content, shift in ((b"one", 0), (b"two", -1e7), (b"one", 0), (b"six", 1e7)):
        # The same size, and dated as before, or before or after what is remembered.
        path.write_bytes(content)
        os.utime(path, (date + shift,) * 2)
        for _ in range(2):
            monkeypatch.setattr(contents, "_SETTLED_SECONDS", -1e9)  # remembered at once
            assert contents.content_hashes([path])[path] == hashlib.sha256(content).hexdigest()


def test_a_hash_is_looked_up_among_all_that_was_remembered() -> None:
    # For each subject of a run: a walk through those of half a million files takes a third of a
    # second.
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute(f"CREATE TABLE hashes ({contents._COLUMNS})")
        base.execute("CREATE TEMP TABLE wanted (path TEXT PRIMARY KEY)")
        plan = [row[-1] for row in base.execute(f"EXPLAIN QUERY PLAN {contents._OF_WANTED}")]
    assert plan[0] == "SCAN wanted" and plan[1].startswith("SEARCH hashes")


def test_a_folder_belongs_to_the_command_that_began_it(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "out", "reconstruct"):
        pass
    assert (tmp_path / "out" / MARK).read_text() == "reconstruct\n"
    with lock_folder(tmp_path / "out", "reconstruct"):
        pass
    with pytest.raises(FacebenchError, match="holds what 'facebench reconstruct' wrote"):
        lock_folder(tmp_path / "out", "prepare").__enter__()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("x")
    with pytest.raises(FacebenchError, match=r"holds other files, such as chapter1\.tex"):
        lock_folder(tmp_path / "thesis", "prepare").__enter__()
