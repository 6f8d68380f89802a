"""Files by themselves or inside a zip or tar archive, listed first and read one by one later."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...errors import error_line
from .reasons import Reason, RejectedError

TAR, ZIP = ".tar", ".zip"
COMPRESSED_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")

_LARGEST_BYTES = 256 * 2**20
_JUNK = ("__MACOSX", "Thumbs.db")


@dataclass(frozen=True)
class Stored:
    """Where a file's bytes are.

    Attributes:
        name: relative to what the user gave, with `/`.
        path: of the file, or of the archive that holds it.
        size: in bytes.
        stamp: changes when the content does: time of change, or check sum in a zip archive.
        member: its name inside a zip archive, else empty.
        offset: of its first byte in `path`, 0 unless in a tar archive.
    """

    name: str
    path: str
    size: int
    stamp: str
    member: str = ""
    offset: int = 0

    def read(self) -> bytes:
        """The whole content.

        Raises:
            RejectedError: larger than any photograph, or shorter than listed.
            OSError: the file cannot be read; what the zip library raises for a damaged member.
        """
        if self.size > _LARGEST_BYTES:
            raise RejectedError(Reason.UNREADABLE, f"larger than {_LARGEST_BYTES >> 20} MiB")
        if self.member:
            return _zip_archive(self.path, self.stamp).read(self.member)
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) < self.size:
            raise RejectedError(Reason.UNREADABLE, "the file ends early")
        return content


def is_archive(name: str) -> bool:
    """Whether a file name is that of an archive, readable here or not."""
    return name.lower().endswith((TAR, ZIP, *COMPRESSED_TARS))


def folder_files(folder: Path) -> Iterator[Stored]:
    """All files under a folder, sorted; hidden ones are passed over."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        for name in sorted(files):
            path = Path(where) / name
            if not _is_junk(name) and path.is_file():
                yield single_file(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")


def single_file(path: Path, name: str) -> Stored:
    """One file under a name."""
    facts = path.stat()
    return Stored(name, str(path), facts.st_size, str(facts.st_mtime_ns))


def archive_files(archive: Stored) -> list[Stored]:
    """Files in an archive, by its own table of contents; nothing is unpacked.

    Raises:
        RejectedError: damaged, or compressed as a whole so that no single file can be reached.
    """
    try:
        if archive.name.lower().endswith(COMPRESSED_TARS):
            raise RejectedError(
                Reason.ARCHIVE, "a compressed tar must be read from its start: unpack it"
            )
        found = _in_zip(archive) if archive.name.lower().endswith(ZIP) else _in_tar(archive)
        return sorted(found, key=lambda file: file.name)
    except (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise RejectedError(Reason.ARCHIVE, error_line(error)) from error


def _in_tar(archive: Stored) -> list[Stored]:
    with tarfile.open(archive.path, "r:") as tar:
        members = [item for item in tar if item.isfile() and not _is_junk_path(item.name)]
    return [
        Stored(
            f"{archive.name}/{item.name.removeprefix('./')}",
            archive.path,
            item.size,
            archive.stamp,
            offset=item.offset_data,
        )
        for item in members
    ]


def _in_zip(archive: Stored) -> list[Stored]:
    with zipfile.ZipFile(archive.path) as file:
        items = [item for item in file.infolist() if not item.is_dir()]
    return [
        Stored(
            f"{archive.name}/{item.filename}",
            archive.path,
            item.file_size,
            f"{item.CRC:08x}",
            member=item.filename,
        )
        for item in items
        if not _is_junk_path(item.filename)
    ]


@lru_cache(maxsize=2)
def _zip_archive(path: str, _stamp: str = "") -> zipfile.ZipFile:
    """Reading the table of contents of a large archive takes longer than a photograph."""
    return zipfile.ZipFile(path)


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name in _JUNK


def _is_junk_path(path: str) -> bool:
    return any(_is_junk(part) for part in path.removeprefix("./").split("/"))
