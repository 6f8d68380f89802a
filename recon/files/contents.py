"""What is in a file, as a hash that is remembered while the file stays as it is."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

from .mirror import STAND_IN
from .stores import address_of, object_states, open_content

ABSENT = "absent"
"""Stands for the hash of a file that is not there or cannot be read."""

_THREADS = 4
_AT_ONCE = 10_000
"""Files whose states and tasks are in memory together."""
_SETTLED_SECONDS = 2.0
_COLUMNS = (
    "path TEXT PRIMARY KEY, size INTEGER, time INTEGER, changed INTEGER, inode INTEGER, sha256 TEXT"
)
# CROSS keeps the order: a plain join walks through all that was ever remembered, of half a million
# files a third of a second, for each subject of a run.
_OF_WANTED = (
    "SELECT path, size, time, changed, inode, sha256 FROM wanted CROSS JOIN hashes USING (path)"
)

State = tuple[int, int, int, int]
"""Size, times in ns of the last change to its content and to its entry, and inode of a file; of an
object of a store its size and a number for its e-tag."""

START_BYTES = 256
"""As many of a file are enough for `not_the_file`."""

_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
}
_JUNK = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "lost+found")


def content_hashes(paths: Iterable[Path]) -> dict[Path, str]:
    """SHA-256 of each file's bytes, or `ABSENT`; several are read at a time.

    Hashes are remembered on this machine by path, size, time and inode: the scans and videos of a
    set are read once, not at every command. What cannot be remembered is read again.
    """
    rest, found = list(paths), dict[Path, str]()
    # Objects of a store are asked about by one listing of all.
    at_once = len(rest) if any(map(address_of, rest)) else _AT_ONCE
    for start in range(0, len(rest), max(1, at_once)):
        found |= _hashes(rest[start : start + at_once])
    return found


def _hashes(paths: Iterable[Path]) -> dict[Path, str]:
    # Here and not above: every command imports this module, for its --help too.
    from concurrent.futures import ThreadPoolExecutor

    wanted = {path: path.absolute() for path in paths}
    known = _recall({_key(place) for place in wanted.values()})
    states = _states(wanted)
    found = {
        path: sha
        for path, place in wanted.items()
        if (entry := known.get(_key(place))) and states[path] == entry[0] and (sha := entry[1])
    }
    rest = [path for path in wanted if path not in found]
    with ThreadPoolExecutor(_THREADS) as pool:
        found |= zip(rest, pool.map(_hash, (wanted[path] for path in rest)), strict=True)
    _remember({wanted[path]: (states[path], found[path]) for path in rest})
    return found


def not_the_file(start: bytes) -> tuple[str, str] | None:
    """What stands in the place of a file that was never fetched, and what to do; None for a file.

    Args:
        start: its first `START_BYTES`.
    """
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file", "fetch it: git lfs pull"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page, not the file", "open its address in a browser and save the file itself"
    packed = next((name for sign, name in _PACKED.items() if start.startswith(sign)), None)
    if packed:
        return f"packed by {packed}, not the file", "unpack it"
    if start.startswith(STAND_IN.rstrip()):
        return "not the file, which is in an object store", "give its address, not this path"
    return None


def is_junk(name: str) -> bool:
    """Whether a system made a file or folder: `.git`, `._IMG_1.jpg`, `Thumbs.db`, `@eaDir`."""
    return name.startswith(".") or name.lower() in _JUNK


def visible_in(folder: Path | None) -> list[Path]:
    """Sorted entries of a folder but those of systems; none of what is no folder."""
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not is_junk(path.name))


def walk_folder(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below one, itself first, with the names of its files; both sorted.

    Links to folders elsewhere are followed, once each; those to a folder that is met anyway, or to
    one around it, are not.
    """
    root = os.path.realpath(folder)
    seen = {root}
    for where, folders, files in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(name for name in folders if not is_junk(name)):
            path = Path(where) / name
            real = os.path.realpath(path)
            around = os.path.commonpath([real, root]) in (real, root)
            if real in seen or (around and path.is_symlink()):
                continue
            seen.add(real)
            kept.append(name)
        # In place: `os.walk` goes on into what is left here, in this order.
        folders[:] = kept
        yield Path(where), sorted(name for name in files if not is_junk(name))


def files_below(folder: Path) -> list[Path]:
    """All files below a folder but those of systems, sorted by path; see `walk_folder`."""
    return sorted(where / name for where, names in walk_folder(folder) for name in names)


def forget() -> None:
    """Remove what is remembered."""
    with suppress(OSError):
        _store().unlink()


def _hash(path: Path) -> str:
    try:
        # An object of a store is read through, and not kept: it may be a film of hours.
        with open_content(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ABSENT


def _states(wanted: Mapping[Path, Path]) -> dict[Path, State | None]:
    """States of files by the path they are asked for, given where each is."""
    objects = object_states([place for place in wanted.values() if address_of(place)])
    return {
        path: (_state(place) if place not in objects else _state_of_object(objects[place]))
        for path, place in wanted.items()
    }


def _state_of_object(found: tuple[int, int] | None) -> State | None:
    return None if found is None else (*found, 0, 0)


def _state(path: Path) -> State | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # The second time cannot be set back, as copying tools do with the first.
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _store() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "facebench" / "hashes.sqlite"


def _recall(places: set[str]) -> dict[str, tuple[State, str]]:
    """What is known of files; nothing where the store is missing, locked or damaged."""
    import sqlite3

    store = _store()
    if not store.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=1)) as base:
            base.execute("CREATE TEMP TABLE wanted (path TEXT PRIMARY KEY)")
            base.executemany("INSERT INTO wanted VALUES (?)", ((place,) for place in places))
            return {r[0]: ((r[1], r[2], r[3], r[4]), r[5]) for r in base.execute(_OF_WANTED)}
    except (sqlite3.Error, OSError, ValueError):
        return {}


def _key(place: Path) -> str:
    """A path as the store names it, which takes no names but UTF-8: of others, their bytes told."""
    return str(place).encode("utf-8", "backslashreplace").decode("utf-8")


def _remember(found: dict[Path, tuple[State | None, str]]) -> None:
    """Keep hashes; a store that cannot be written is done without."""
    import sqlite3

    # A file that was changed a moment ago may change again within one tick of its clock.
    before = time.time_ns() - int(_SETTLED_SECONDS * 1e9)
    now = _states({place: place for place in found})
    rows = [
        (_key(place), *state, sha)
        for place, (state, sha) in found.items()
        if state is not None
        and sha != ABSENT
        and max(state[1], state[2]) < before
        and now[place] == state
    ]
    if not rows:
        return
    store = _store()
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(store, timeout=1)) as base, base:
            base.execute(f"CREATE TABLE IF NOT EXISTS hashes ({_COLUMNS})")
            base.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?)", rows)
    except (sqlite3.Error, OSError):
        return
