"""Copies of what lies in an object store, brought up to date before they are read.

A folder's mirror holds files up to `WHOLE_BYTES`; for each larger one it holds a line of text in
its place, and who reads it fetches it first or reads ranges of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .stores import (
    FIRST_TIME,
    THREADS,
    Facts,
    address_of,
    is_address,
    is_written_here,
    list_objects,
    mark_of,
    mirror_path,
    object_facts,
    read_object,
)
from .writing import LOCAL_NAMES, atomic_write, is_draft, sweep_drafts

WHOLE_BYTES = 2**20
"""Files of folders up to this size are fetched with the listing: labels, boxes, landmarks."""
STAND_IN = b"facebench: the content of this file is in an object store\n"


def local_path(place: Path | str, whole: bool = False) -> Path:
    """A path to read: of an address, its mirror brought up to date; any other as it is.

    Raises:
        FacebenchError: as `mirror_path` and `fetch`.
    """
    return fetch(mirror_path(str(place)) if is_address(place) else Path(place), whole)


def fetch(path: Path, whole: bool = False) -> Path:
    """Bring the copy of an object, or of all below an address, up to date; the path itself.

    What is gone from the store goes from the mirror too. Does nothing for paths of this machine.
    Of what a command writes single files are fetched where they are not the writer's own: a worker
    on another machine reads weights that were trained for it.

    Args:
        path: of a mirror.
        whole: of a folder: fetch large files as well.

    Raises:
        FacebenchError: the store cannot be reached or read, or something changed under way.
    """
    if not address_of(path):
        return path
    # What a command of this machine wrote and has not published, and folders of it.
    written = path.is_dir() or (path.is_file() and path.stat().st_mtime_ns >= FIRST_TIME)
    if is_written_here(path) and written:
        return path
    facts = object_facts(path)
    if facts is None and is_written_here(path):
        return path
    if facts is not None:
        if path.is_dir():
            import shutil

            shutil.rmtree(path)
        fetch_object(path, facts)
    else:
        fetch_folder(path, list_objects(path), whole)
    return path


def fetch_folder(path: Path, objects: Mapping[str, Facts], whole: bool) -> None:
    """Make a folder hold these objects and nothing else; see `fetch`."""
    if path.is_dir():
        sweep_drafts(path)
    for file in [item for item in path.rglob("*") if not item.is_dir() or item.is_symlink()]:
        # Commands keep some beside their files on this machine alone.
        ours = file.name in LOCAL_NAMES or is_draft(file)
        if file.relative_to(path).as_posix() not in objects and not ours:
            file.unlink(missing_ok=True)
    for folder in sorted((item for item in path.rglob("*") if item.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    if path.is_dir() and not objects and not any(path.iterdir()):
        path.rmdir()
    # Here: every command imports this module, for its help too.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS) as pool:
        tasks = [
            pool.submit(fetch_object, path / name, facts, whole or facts["size"] <= WHOLE_BYTES)
            for name, facts in objects.items()
        ]
        for task in tasks:
            task.result()


def fetch_object(path: Path, facts: Facts, whole: bool = True) -> None:
    """Make a file hold an object, or stand for it; a copy that is current stays.

    Raises:
        FacebenchError: the object changed since the facts were asked for, or cannot be read.
    """
    mark, size = mark_of(facts), facts["size"] if whole else len(STAND_IN)
    found = path.stat() if path.is_file() else None
    # A whole copy serves as well where a stand-in would do.
    if found and found.st_mtime_ns == mark and found.st_size in (size, facts["size"]):
        return
    with atomic_write(path) as draft:
        content = read_object(path, facts) if whole else STAND_IN
        draft.write_bytes(content)
        # The e-tag is kept in the file's time, so that the two can never come apart.
        os.utime(draft, ns=(mark, mark))
