"""The photographs a user points at, each with the label files beside it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ...errors import FacebenchError
from .reasons import RejectedError
from .stored import Stored, archive_files, folder_files, is_archive, single_file

PHOTOGRAPHS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
LANDMARKS = (".pts", ".txt")
MASK = "_mask.png"


@dataclass(frozen=True)
class Photograph:
    """One photograph and its labels, none of them read yet.

    Attributes:
        file: the picture.
        landmarks: `NAME.pts` or `NAME.txt` beside it, or None.
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
    def stamp(self) -> str:
        """Changes when the picture or a label file does."""
        files = [item for item in (self.file, self.landmarks, self.mask) if item]
        text = "\n".join(f"{item.name} {item.size} {item.stamp}" for item in files)
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

    def limited(self, limit: int | None) -> Listing:
        """The first photographs."""
        return Listing(self.photographs[:limit], self.unreadable)


def list_photographs(inputs: Sequence[Path]) -> Listing:
    """Photographs in folders (with all that is under them), archives and single files.

    Raises:
        FacebenchError: an input does not exist, two have one name, or there is no photograph.
    """
    _check_inputs(inputs)
    unreadable: dict[str, RejectedError] = {}
    photographs = list(_found(inputs, unreadable))
    if not photographs and not unreadable:
        raise FacebenchError(
            f"no photographs in {', '.join(map(str, inputs))}",
            f"known endings: {' '.join(sorted(PHOTOGRAPHS))}, and .zip and .tar of them",
        )
    return Listing(tuple(photographs), unreadable)


def _check_inputs(inputs: Sequence[Path]) -> None:
    missing = [path for path in inputs if not path.exists()]
    if missing:
        raise FacebenchError(f"{missing[0]}: no such folder, archive or photograph")
    name, times = Counter(path.resolve().name for path in inputs).most_common(1)[0]
    if times > 1:
        raise FacebenchError(
            f"two of the inputs are called {name}", "rename one, or give the folder above them"
        )


def _found(inputs: Sequence[Path], unreadable: dict[str, RejectedError]) -> Iterator[Photograph]:
    for path in (item.resolve() for item in inputs):
        files = list(folder_files(path)) if path.is_dir() else [single_file(path, path.name)]
        beside = files if path.is_dir() else list(_siblings(path))
        yield from _paired(files, beside)
        for archive in (file for file in files if is_archive(file.name)):
            try:
                inside = archive_files(archive)
            except RejectedError as rejected:
                unreadable[archive.name] = rejected
            else:
                yield from _paired(inside, inside)


def _siblings(path: Path) -> Iterator[Stored]:
    """The label files that may belong to a single photograph."""
    for name in (*(path.stem + ending for ending in LANDMARKS), path.stem + MASK):
        beside = path.with_name(name)
        if beside.is_file():
            yield single_file(beside, name)


def _paired(files: Iterable[Stored], beside: Iterable[Stored]) -> Iterator[Photograph]:
    """The photographs among files, each with its label files; masks are no photographs."""
    known = {file.name: file for file in beside}
    pictures = [file for file in files if PurePosixPath(file.name).suffix.lower() in PHOTOGRAPHS]
    masks = {_stem(file.name) + MASK for file in pictures}
    for file in pictures:
        stem = _stem(file.name)
        if file.name in masks:
            continue
        landmarks = (known.get(stem + ending) for ending in LANDMARKS)
        yield Photograph(file, next(filter(None, landmarks), None), known.get(stem + MASK))


def _stem(name: str) -> str:
    return name[: len(name) - len(PurePosixPath(name).suffix)]
