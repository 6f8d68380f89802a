"""Folders that are written on this machine and kept in an object store, by one writer at a time.

A store has no rename and no lock of the operating system, but it writes under a condition: an
object is created only where there is none, and replaced only while it is what the writer knows.
The folder is worked on in the cache, where every file is replaced in one step as in any other; its
changes are then put into the store, what others refer to first. What the store holds counts: a
command begins with fetching it, on whatever machine, so that at most what was done since the last
`publish` is done again.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import FacebenchError
from .mirror import fetch_folder
from .stores import (
    Facts,
    ask,
    is_written_here,
    list_objects,
    mark_of,
    object_facts,
    place_of,
    read_object,
    shown,
)
from .writing import LOCAL_NAMES, MARK, is_dead, is_draft

LEASE_SECONDS = 30.0
"""A lock that was not renewed for so long, by the clock of who waits for it, is nobody's."""
RENEW_SECONDS = 5.0
SHARE = 0.05
"""Of the time that may go into publishing while there is work to do."""

_LOCK = ".lock"
_THREADS = 8
_open: dict[Path, _Publication] = {}


@contextmanager
def published(root: Path) -> Iterator[None]:
    """Hold the folder of an address, with what the store has of it, and publish it at the end.

    Does nothing for other folders, and inside of a folder that this process holds already.

    Args:
        root: a path of `stores.mirror_path(…, writing=True)`, or any other.

    Raises:
        FacebenchError: another command holds it, it holds other files, or the store cannot be
            reached, or cannot write under a condition.
    """
    if not is_written_here(root):
        yield
        return
    if outer := _publication(root):
        yield
        # The next step of the outer command may be a worker's elsewhere.
        outer.publish()
        return
    listed = list_objects(root)
    theirs = [name for name in listed if name != _LOCK]
    # Before anything of it is fetched or taken for leftovers of our own.
    if theirs and MARK not in listed:
        raise FacebenchError(
            f"{shown(root)} holds other files, such as {theirs[0]}", "choose an empty place"
        )
    lease = _Lease(root / _LOCK)
    lease.acquire()
    try:
        publication = _Publication(root, lease)
        _open[root] = publication
        try:
            yield
        finally:
            publication.publish()
    finally:
        _open.pop(root, None)
        lease.release()


def publish(folder: Path, at_once: bool = False) -> None:
    """Put what changed in a folder into its store; nothing where it has none.

    Args:
        folder: that `published` holds, or one inside of it.
        at_once: else only as often as `SHARE` of the time allows.

    Raises:
        FacebenchError: another command took the folder over, or the store cannot be reached.
    """
    publication = _publication(folder)
    if publication is not None and (at_once or publication.is_time()):
        publication.publish()


@contextmanager
def watching(folder: Path, seconds: float = 10.0) -> Iterator[None]:
    """Publish a folder again and again while other processes of this machine write to it."""
    if _publication(folder) is None:
        yield
        return
    over = threading.Event()
    failures: list[Exception] = []

    def watch() -> None:
        while not over.wait(seconds) and not failures:
            try:
                publish(folder, at_once=True)
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failures:
        raise failures[0]


def _publication(folder: Path) -> _Publication | None:
    return next((_open[place] for place in (folder, *folder.parents) if place in _open), None)


class _Publication:
    """The known state of a folder's objects, to find what changed on either side."""

    def __init__(self, root: Path, lease: _Lease) -> None:
        self._root, self._lease = root, lease
        objects = {n: f for n, f in list_objects(root).items() if Path(n).name != _LOCK}
        fetch_folder(root, objects, whole=True)
        self._known: dict[str, Facts] = objects
        self._ended, self._took = -float("inf"), 0.0
        # A thread may publish while the main one ends.
        self._busy = threading.Lock()

    def is_time(self) -> bool:
        """Whether publishing has taken no more than its share so far."""
        return self._took <= SHARE * (time.monotonic() - self._ended)

    def publish(self) -> None:
        """Upload what is new or changed, then remove what is gone here."""
        with self._busy:
            began = time.monotonic()
            self._lease.check()
            files = self._files()
            changed = [name for name in files if not self._is_kept(name, files[name])]
            inner = [name for name in changed if "/" in name]
            with ThreadPoolExecutor(_THREADS) as pool:
                for task in [pool.submit(self._upload, name) for name in inner]:
                    task.result()
            # Tables and records tell of what lies in folders, and the later of the earlier ones:
            # who finds one in the store finds all that it tells of.
            for name in sorted(set(changed) - set(inner), key=lambda name: (files[name], name)):
                self._upload(name)
            for name in self._known.keys() - files.keys():
                self._remove(name)
            self._ended = time.monotonic()
            self._took = self._ended - began

    def _files(self) -> dict[str, int]:
        """The folder's files with the times of their last change in ns, of hidden folders none."""
        found: dict[str, int] = {}
        for folder, inner, names in os.walk(self._root):
            # Such as a trial of a training, which is gone in a minute.
            inner[:] = [name for name in inner if not name.startswith(".")]
            for name in names:
                path = Path(folder) / name
                if name in LOCAL_NAMES or is_draft(path) or path.is_symlink():
                    continue
                with suppress(FileNotFoundError):
                    found[path.relative_to(self._root).as_posix()] = path.stat().st_mtime_ns
        return found

    def _is_kept(self, name: str, changed: int) -> bool:
        return name in self._known and mark_of(self._known[name]) == changed

    def _upload(self, name: str) -> None:
        path = self._root / name
        try:
            with path.open("rb") as file:
                content = file.read()
                facts = self._put(path, content, self._known.get(name))
                self._known[name] = facts
                # Of the file that was read, not of the path: a newer one keeps its own time.
                os.utime(file.fileno(), ns=(mark_of(facts), mark_of(facts)))
        except FileNotFoundError:
            return  # removed since it was listed; the next time tells

    def _put(self, path: Path, content: bytes, known: Facts | None) -> Facts:
        try:
            return put_object(path, content, known)
        except _condition_errors():
            # Ours after all, where the answer to an earlier try was lost.
            facts = object_facts(path)
            if facts and facts["size"] == len(content):  # noqa: SIM102
                if read_object(path, facts) == content:
                    return facts
            raise _taken_error(self._root) from None

    def _remove(self, name: str) -> None:
        delete_object(self._root / name)
        self._known.pop(name)


def put_object(path: Path, content: bytes, known: Facts | None) -> Facts:
    """Create an object, or replace the one that is known.

    Raises:
        obstore.exceptions.AlreadyExistsError, PreconditionError: the store holds another.
        FacebenchError: the store cannot be reached or refuses.
    """
    import obstore

    store, key = place_of(path)
    mode: Any = "create"
    if known is not None:
        if known["version"] is None and shown(path).startswith("gs:"):
            # Google's condition is on the generation, which its listings do not tell.
            now = object_facts(path)
            known = now if now and now["e_tag"] == known["e_tag"] else known
        mode = {name: known[name] for name in ("e_tag", "version") if known[name] is not None}
    put = ask(path, lambda: obstore.put(store, key, content, mode=mode, use_multipart=False))
    return {**put, "path": key, "size": len(content)}


def delete_object(path: Path) -> None:
    """Remove an object, if it is there."""
    import obstore

    store, key = place_of(path)
    with suppress(FileNotFoundError):
        ask(path, lambda: obstore.delete(store, key))


def _condition_errors() -> tuple[type[Exception], ...]:
    from obstore import exceptions

    return exceptions.AlreadyExistsError, exceptions.PreconditionError


def _taken_error(root: Path) -> FacebenchError:
    return FacebenchError(
        f"another command is writing to {shown(root)}", "wait for it or choose another place"
    )


class _Lease:
    """An object that says who writes, renewed while they do."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token, self._count = secrets.token_hex(8), 0
        self._facts: Facts | None = None
        self._lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def acquire(self) -> None:
        """Create it, or take over one that nobody renews any more.

        Raises:
            FacebenchError: somebody does, or the store cannot write under a condition.
        """
        while self._facts is None:
            try:
                self._facts = put_object(self._path, self._content(), None)
            except _condition_errors():
                self._wait_for_other()
        self._check_conditions()
        self._thread.start()

    def check(self) -> None:
        """Refuse to go on where another command took the folder over."""
        if self._lost:
            raise _taken_error(self._path.parent)

    def release(self) -> None:
        """Remove it, where it is still ours."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(FacebenchError):
            facts = object_facts(self._path)
            if facts and self._facts and facts["e_tag"] == self._facts["e_tag"]:
                delete_object(self._path)

    def _content(self) -> bytes:
        # Another content each time: e-tags are of the content, and its change is the sign of life.
        self._count += 1
        who = {"host": socket.gethostname(), "process": os.getpid(), "token": self._token}
        return json.dumps(who | {"renewed": self._count}).encode()

    def _wait_for_other(self) -> None:
        """Return when another's lock is gone or ours; refuse when it is renewed."""
        facts = object_facts(self._path)
        began = time.monotonic()
        while facts is not None and time.monotonic() - began < LEASE_SECONDS:
            if self._is_of_dead_process(facts):
                break
            time.sleep(min(1.0, RENEW_SECONDS / 4))
            now = object_facts(self._path)
            # No clock is compared, only whether it changes: those of two machines differ.
            if now is not None and now["e_tag"] != facts["e_tag"]:
                raise _taken_error(self._path.parent)
            facts = now
        if facts is None:
            return
        try:
            self._facts = put_object(self._path, self._content(), facts)
        except _condition_errors():
            raise _taken_error(self._path.parent) from None

    def _is_of_dead_process(self, facts: Facts) -> bool:
        try:
            who = json.loads(read_object(self._path, facts))
            return who["host"] == socket.gethostname() and is_dead(int(who["process"]))
        except (FacebenchError, ValueError, TypeError, KeyError):
            return False

    def _check_conditions(self) -> None:
        try:
            put_object(self._path, self._content(), None)
        except _condition_errors():
            return
        delete_object(self._path)
        raise FacebenchError(
            f"{shown(self._path.parent)}: the store does not write under a condition, so that two "
            "commands could overwrite each other",
            "choose a store that does (If-None-Match), or a folder of this machine",
        )

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            self._renew_once()

    def _renew_once(self) -> None:
        try:
            self._facts = put_object(self._path, self._content(), self._facts)
        except _condition_errors():
            self._lost = not self._is_ours()
        except FacebenchError:
            return  # the store is away: the next writer is refused, and the lock may still be ours

    def _is_ours(self) -> bool:
        """Whether the lock is one of which only the answer was lost."""
        with suppress(FacebenchError, ValueError, TypeError, KeyError):
            facts = object_facts(self._path)
            if facts and json.loads(read_object(self._path, facts))["token"] == self._token:
                self._facts = facts
                return True
        return False
