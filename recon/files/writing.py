"""Files that are the old ones or the new ones, and folders with one writer at a time."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import STORE_MIRROR, FacebenchError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HOST = hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]
_DRAFT = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<pid>[0-9]+)-[0-9a-f]{16}\.draft")
"""Of what machine and process a draft is; chance keeps it from being guessed and laid out."""
MARK = ".facebench"
"""The file by which a command knows a folder as its own: its first line names the command."""
LOCAL_NAMES = (".lock", ".leader.lock")
"""Files that commands keep beside theirs on this machine alone."""
_SECONDS_OF_ANOTHER_HOST = 24 * 3600.0


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes its place in one step.

    A link is followed and stays one; the mode of a file that is replaced is kept. What is no plain
    file (a device, a pipe) is written into, after all has been made elsewhere.

    Raises:
        FacebenchError: the place cannot be written; what was at `path` is still there.
    """
    # A link to a link ends at the file itself, so that renaming replaces no link.
    with explain_write_errors(path):
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
    draft = target.with_name(f".{_HOST}-{os.getpid()}-{os.urandom(8).hex()}.draft")
    with explain_write_errors(path, (draft, target)):
        kind = _kind_of(target)
        if kind is not None and stat.S_ISDIR(kind):
            raise FacebenchError(f"{path} is a folder", "give the name of a file")
        if kind is not None and not stat.S_ISREG(kind):
            with _written_into(target) as elsewhere:
                yield elsewhere
            return
        _create_parent(target)
        _create(draft)
        try:
            yield draft
            _flush(draft)
            if kind is not None:
                draft.chmod(stat.S_IMODE(kind))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def explain_write_errors(path: Path, own: tuple[Path, ...] = ()) -> Iterator[None]:
    """Errors of the system about a place that is written to become a message.

    Args:
        path: as the user knows it.
        own: other names under which errors may speak of it. Errors about other files are not ours
            to explain, but for a full disk.
    """
    try:
        yield
    except OSError as error:
        names = {str(name) for name in (path, *own, path.parent)}
        if error.errno not in _FULL and str(error.filename) not in names:
            raise
        said = os.strerror(error.errno) if error.errno else str(error)
        full = error.errno in _FULL
        hint = "make room; the same command continues" if full else "choose another place"
        raise FacebenchError(f"{path} cannot be written: {said}", hint) from error


@contextmanager
def _written_into(target: Path) -> Iterator[Path]:
    """A draft in a folder of its own, whose bytes go into a device or pipe at the end."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft"
        yield draft
        with draft.open("rb") as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)


def _kind_of(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _create_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise FacebenchError(f"{path.parent} is no folder", "choose another place") from None
    except OSError as error:
        raise FacebenchError(
            f"{path.parent} cannot be made: {error.strerror}", "choose another place"
        ) from error


def _create(draft: Path) -> None:
    """An empty file of our own: never one that is there, nor what a link of the name leads to."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(draft, flags, 0o666))


def sweep_drafts(folder: Path) -> None:
    """Remove what writers left that were killed: those of dead processes of this machine.

    Processes elsewhere cannot be asked, so that their drafts stay for a day.
    """
    now = _now_on_disk(folder)
    for draft in folder.rglob(".*.draft"):
        found = _DRAFT.fullmatch(draft.name)
        if found is None or draft.is_symlink() or not draft.is_file():
            continue
        with suppress(OSError):
            old = now - draft.stat().st_mtime > _SECONDS_OF_ANOTHER_HOST
            if is_dead(int(found["pid"])) if found["host"] == _HOST else old:
                draft.unlink(missing_ok=True)


def _now_on_disk(folder: Path) -> float:
    """The time by which a file is dated that is written in the folder now.

    That of the disk's own host, which also dated the drafts. The newest file would not do: one that
    was written before the clock was set back makes all that is written today look old.
    """
    import tempfile  # not above: every command imports this module, for its help too

    with suppress(OSError), tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"\0")
        probe.flush()
        return os.fstat(probe.fileno()).st_mtime
    return 0.0


def is_draft(path: Path) -> bool:
    """Whether a file has the name of what `atomic_write` has not finished."""
    return _DRAFT.fullmatch(path.name) is not None


def is_dead(process: int) -> bool:
    """Whether no process of this machine but this one has the number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return process == os.getpid()  # our own are from before a fork or a reused number


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def lock_folder(
    folder: Path,
    command: str = "",
    own: tuple[str, ...] = (),
    inputs: tuple[Path, ...] = (),
) -> Iterator[None]:
    """Keep other commands off a folder, and remove what killed ones left half written.

    The operating system holds the lock for the process, and lets it go with it: after a kill there
    is nothing to clean up. A command that fails before it wrote anything leaves no folder behind.
    The folder of an object store is fetched, held there too, and published: see `publishing`.

    Args:
        folder: made where it is not there; tried before any work is done.
        command: whose folder it becomes; empty where any may write to it.
        own: patterns of files that the command wrote before folders were marked.
        inputs: what the command reads. Who keeps them in this very folder, or names the folder
            itself, means to share it: then it becomes nobody's.

    Raises:
        FacebenchError: another command holds it, it is somebody else's, or cannot be written.
    """
    from .publishing import published  # it writes files itself, by what is above

    read = [os.path.realpath(path) for path in inputs]
    if os.path.realpath(folder) in (*read, *map(os.path.dirname, read)):
        command = ""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        # Before the lock, which is a file in the folder, and again once no other command writes.
        # Of a folder of an object store what lies here may be long outdated.
        if STORE_MIRROR not in folder.parts:
            _check_owner(folder, command, own)
        with (
            _locked(
                folder / ".lock",
                0.0,
                f"another command is writing to {folder}",
                "wait for it or choose another folder",
            ),
            published(folder),
        ):
            _check_owner(folder, command, own)
            try:
                _mark(folder, command)
                sweep_drafts(folder)
                yield
            except BaseException:
                _unmark(folder)
                raise
    except BaseException:
        for place in missing:
            with suppress(OSError):  # it holds something
                place.rmdir()
        raise


def _mark(folder: Path, command: str) -> None:
    if command and not (folder / MARK).is_file():
        with atomic_write(folder / MARK) as draft:
            draft.write_text(f"{command}\n", encoding="utf-8")


def _unmark(folder: Path) -> None:
    """Take back a claim on a folder that nothing was written to."""
    with suppress(OSError):
        if not _content(folder):
            (folder / MARK).unlink(missing_ok=True)
            # Still held: who comes later makes a new file.
            (folder / ".lock").unlink(missing_ok=True)


def _content(folder: Path) -> list[str]:
    """Names in a folder, without marks, locks and what killed writers left."""
    names = (item.name for item in folder.iterdir())
    ours = (*LOCAL_NAMES, MARK)
    return sorted(name for name in names if name not in ours and not _DRAFT.fullmatch(name))


def _check_owner(folder: Path, command: str, own: tuple[str, ...]) -> None:
    """Refuse a folder with files of another command, or of none."""
    if not command or not folder.is_dir():
        return
    mark = folder / MARK
    owner = ""
    if mark.is_file():
        with mark.open("rb") as file:
            owner = file.read(80).decode("utf-8", "replace").strip()
    if owner == command:
        return
    if owner:
        raise FacebenchError(
            f"{folder} holds what 'facebench {owner}' wrote", "choose another folder"
        )
    theirs = _content(folder)
    if theirs and not any(next(folder.glob(pattern), None) for pattern in own):
        raise FacebenchError(
            f"{folder} holds other files, such as {theirs[0]}", "choose an empty folder"
        )


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
    from filelock import FileLock, Timeout

    _create_parent(path)
    lock = FileLock(path, timeout=seconds)
    try:
        with explain_write_errors(path.parent, (path,)):
            lock.acquire()
    except Timeout:
        raise FacebenchError(message, hint) from None
    try:
        yield
    finally:
        lock.release()
