"""One writer to a folder at a time; a writer that is dead is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import FacebenchError
from .replace import sweep_drafts


@contextmanager
def only_command(folder: Path) -> Iterator[None]:
    """Keep other commands off a folder, and remove what killed ones left half written.

    The operating system holds the lock for the process, and lets it go with it: after a kill there
    is nothing to clean up.

    Raises:
        FacebenchError: another command holds it.
    """
    with _locked(
        folder / ".lock",
        0.0,
        f"another command is writing to {folder}",
        "wait for it or choose another folder",
    ):
        sweep_drafts(folder)
        yield


@contextmanager
def only_leader(folder: Path, seconds: float = 90.0) -> Iterator[None]:
    """Wait until the first worker of an earlier command no longer writes to a folder.

    Workers on other machines may outlive the command that was killed, until Ray notices.

    Raises:
        FacebenchError: it still writes after so many seconds.
    """
    with _locked(
        folder / ".leader.lock",
        seconds,
        f"a worker of an earlier command still writes to {folder} after {seconds:.0f} s",
        "end it, then give the same command again",
    ):
        yield


@contextmanager
def _locked(path: Path, seconds: float, message: str, hint: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except Timeout:
        raise FacebenchError(message, hint) from None
    try:
        yield
    finally:
        lock.release()
