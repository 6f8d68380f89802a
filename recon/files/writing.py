"""Files that are the old ones or the new ones, and folders with one writer at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import FacebenchError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes its place in one step.

    Raises:
        FacebenchError: the disk is full; what was at `path` is still there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            _flush(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """A full disk, or one with no room for this user, becomes a message."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise FacebenchError(
            f"{path} cannot be written: {os.strerror(error.errno)}",
            "make room; the same command continues",
        ) from error


def sweep_drafts(folder: Path) -> None:
    """Remove what writers left that were killed: for a folder that nobody else writes to."""
    for draft in folder.rglob(".*.draft"):
        draft.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
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
def lock_rank_zero(folder: Path, seconds: float = 90.0) -> Iterator[None]:
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
