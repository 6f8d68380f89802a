"""The photographs a user points at, in folders and archives, each with its label files."""

from __future__ import annotations

import hashlib
import tarfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ...errors import FacebenchError, error_line
from ..files.contents import content_hashes, is_junk, walk_folder
from ..files.mirror import fetch
from ..files.pictures import PHOTOGRAPHS
from ..files.stores import address_of
from .rows import Reason, RejectedError

TAR, ZIP = ".tar", ".zip"
COMPRESSED_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")

_LARGEST_BYTES = 256 * 2**20

LANDMARKS = (".pts", ".txt", ".landmarks.txt", ".landmarks.csv")
MASK = "_mask.png"


@dataclass(frozen=True)
class Stored:
    """Where a file's bytes are.

    Attributes:
        name: relative to what the user gave, with `/`; bytes that are no UTF-8 as `\\udce9`, which
            tables of Parquet can hold.
        path: of the file, or of the archive that holds it.
        size: in bytes.
        stamp: changes when the content does: its hash, that of the archive, or the check sum in a
            zip archive; of an object of a store a number for its e-tag.
        member: its name inside a zip archive, else empty.
        offset: of its first byte in `path`, 0 unless in a tar archive.
    """

    name: str
    path: str
    size: int
    stamp: str
    member: str = ""
    offset: int = 0

    def __post_init__(self) -> None:
        name = self.name.encode("utf-8", "backslashreplace").decode("utf-8")
        object.__setattr__(self, "name", name)

    def read(self) -> bytes:
        """The whole content.

        Raises:
            RejectedError: larger than any photograph, or shorter than listed.
            OSError: the file cannot be read; what the zip library raises for a damaged member.
        """
        if self.size > _LARGEST_BYTES:
            raise RejectedError(Reason.UNREADABLE, f"larger than {_LARGEST_BYTES >> 20} MiB")
        # Of an object store: this may be another machine than the one that listed it.
        if not Path(self.path).exists():
            fetch(Path(self.path))
        if self.member:
            # With its time of change: an archive that was replaced is opened again.
            return _zip_archive(self.path, Path(self.path).stat().st_mtime_ns).read(self.member)
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
    for where, names in walk_folder(folder):
        for path in (where / name for name in names):
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            if path.is_file():
                yield single_file(path, name)
            elif not path.exists():
                # A link that leads nowhere, as where a disk is missing: its reader says so.
                yield Stored(name, str(path), 0, "")


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
    # Uncompressed only: a member's bytes are then a part of the file, read without the rest.
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
def _zip_archive(path: str, _changed: int) -> zipfile.ZipFile:
    """Reading the table of contents of a large archive takes longer than a photograph."""
    return zipfile.ZipFile(path)


def _is_junk_path(path: str) -> bool:
    return any(is_junk(part) for part in path.removeprefix("./").split("/"))


@dataclass(frozen=True)
class Photograph:
    """One photograph and its labels, none of them read yet.

    Attributes:
        file: the picture.
        landmarks: `NAME.pts`, `NAME.txt`, `NAME.landmarks.txt` or `.csv` beside it, or None.
        mask: `NAME_mask.png` beside it, or None.
    """

    file: Stored
    landmarks: Stored | None = None
    mask: Stored | None = None

    @property
    def source(self) -> str:
        """Its name; unique."""
        return self.file.name

    @property
    def files(self) -> list[Stored]:
        """The picture and its label files."""
        return [item for item in (self.file, self.landmarks, self.mask) if item]

    @property
    def stamp(self) -> str:
        """Changes when the picture or a label file does."""
        text = "\n".join(f"{item.name} {item.size} {item.stamp}" for item in self.files)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Listing:
    """What there is to prepare.

    Attributes:
        photographs: in the order of their names, folder by folder.
        unreadable: archives that could not be listed, by name.
    """

    photographs: tuple[Photograph, ...]
    unreadable: dict[str, RejectedError] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of all names and stamps."""
        digest = hashlib.sha256()
        for photograph in self.photographs:
            digest.update(f"{photograph.source} {photograph.stamp}\n".encode(errors="replace"))
        digest.update("\n".join(sorted(self.unreadable)).encode(errors="replace"))
        return digest.hexdigest()

    def first(self, limit: int | None) -> Listing:
        """The first photographs."""
        return Listing(self.photographs[:limit], self.unreadable)


def list_photographs(inputs: Sequence[Path]) -> Listing:
    """Photographs in folders (with all that is under them), archives and single files.

    Raises:
        FacebenchError: an input does not exist, two have one name, or there is no photograph.
    """
    _check_inputs(inputs)
    unreadable: dict[str, RejectedError] = {}
    photographs = list(_find(inputs, unreadable))
    if not photographs and not unreadable:
        raise FacebenchError(
            f"no photographs in {', '.join(map(str, inputs))}",
            f"known endings: {' '.join(sorted(PHOTOGRAPHS))}, and .zip and .tar of them",
        )
    return Listing(tuple(_with_stamps(photographs)), unreadable)


def _with_stamps(photographs: Sequence[Photograph]) -> Iterator[Photograph]:
    """With stamps by contents: a copy may keep the size and time of what it replaces."""
    wanted = {
        Path(file.path)
        for photograph in photographs
        for file in photograph.files
        # What is larger is not read at all, and an object's e-tag is of its contents.
        if not file.member and (file.offset or file.size <= _LARGEST_BYTES)
        if not address_of(file.path)
    }
    hashes = {str(path): sha for path, sha in content_hashes(sorted(wanted)).items()}

    for one in photographs:
        # In a zip archive every member has its own already.
        new = {file: replace(file, stamp=hashes.get(file.path, file.stamp)) for file in one.files}
        others = (file and new[file] for file in (one.landmarks, one.mask))
        yield Photograph(new[one.file], *others)


def _check_inputs(inputs: Sequence[Path]) -> None:
    missing = [path for path in inputs if not path.exists()]
    if missing:
        raise FacebenchError(f"{missing[0]}: no such folder, archive or photograph")
    name, times = Counter(_place(path).name for path in inputs).most_common(1)[0]
    if times > 1:
        raise FacebenchError(
            f"two of the inputs are called {name}", "rename one, or give the folder above them"
        )


def _place(path: Path) -> Path:
    """An input by its own name; a folder by what it leads to, for `.` has none."""
    # A file that is a link keeps its name: what it leads to may have no ending, and no labels.
    return path.resolve() if path.is_dir() else path.absolute()


def _find(inputs: Sequence[Path], unreadable: dict[str, RejectedError]) -> Iterator[Photograph]:
    for path in map(_place, inputs):
        files = list(folder_files(path)) if path.is_dir() else [single_file(path, path.name)]
        # Of a single photograph, only what may be its own is looked at: its folder may be huge.
        beside = files if path.is_dir() else list(_siblings(path))
        yield from _pair(files, beside)
        for archive in (file for file in files if is_archive(file.name)):
            try:
                inside = archive_files(archive)
            except RejectedError as rejected:
                unreadable[archive.name] = rejected
            else:
                yield from _pair(inside, inside)


def _siblings(path: Path) -> Iterator[Stored]:
    """The label files that may belong to a single photograph."""
    endings = (*LANDMARKS, MASK)
    for name in (path.stem + end for both in endings for end in (both, _in_capitals(both))):
        beside = path.with_name(name)
        with suppress(OSError):  # the name may be longer than the disk allows
            if beside.is_file():
                yield single_file(beside, name)


def _pair(files: Iterable[Stored], beside: Iterable[Stored]) -> Iterator[Photograph]:
    """The photographs among files, each with its label files; masks are no photographs."""
    known = {_label_key(file.name): file for file in beside}
    pictures = [file for file in files if PurePosixPath(file.name).suffix.lower() in PHOTOGRAPHS]
    # Only beside its photograph: a lone x_mask.png is a photograph of that name.
    masks = {_label_key(_stem(file.name) + MASK) for file in pictures}
    for file in pictures:
        stem = _stem(file.name)
        if _label_key(file.name) in masks:
            continue
        labels = [known.get(_label_key(stem + ending)) for ending in (*LANDMARKS, MASK)]
        yield Photograph(file, next(filter(None, labels[:-1]), None), labels[-1])


def _label_key(name: str) -> str:
    """A file's name with its ending small, and letters and their marks as one character."""
    stem = _stem(name)
    return unicodedata.normalize("NFC", stem) + name[len(stem) :].lower()


def _in_capitals(ending: str) -> str:
    """What follows the last point in capitals."""
    first, point, last = ending.rpartition(".")
    return first + point + last.upper()


def _stem(name: str) -> str:
    return name[: len(name) - len(PurePosixPath(name).suffix)]
