"""Files that are either the old ones or the new ones, whatever happens in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import FacebenchError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes its place in one step.

    Raises:
        FacebenchError: the disk is full; what was at `path` is still there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    with told_when_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            _flush(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def told_when_full(path: Path) -> Iterator[None]:
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
