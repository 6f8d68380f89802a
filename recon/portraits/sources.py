"""What a user points at for reconstruction: photographs, videos, and folders of them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ..files.contents import files_below
from ..files.pictures import NOT_A_PICTURE, PHOTOGRAPHS, read_picture

VIDEOS = frozenset(
    {
        *(".mp4", ".avi", ".mov", ".mjpg", ".mjpeg", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"),
        *(".wmv", ".3gp", ".3g2", ".mts", ".m2ts", ".ts", ".vob", ".m2v", ".asf"),
        # Not read, and told so: a folder's films are not passed over.
        *(".flv", ".ogv", ".mxf", ".dv", ".rm", ".divx"),
    }
)
BOXES_ENDING = ".boxes.csv"
LANDMARK_ENDINGS = (".pts", ".landmarks.txt", ".landmarks.csv", ".landmarks.npy")
_FURTHER_FACE = re.compile(r"_face\d+$")
_LONGEST_NAME = 200
"""Bytes of a result's name; disks allow 255 with its ending."""


@dataclass(frozen=True)
class Source:
    """One photograph or video.

    Attributes:
        name: what its results are called, with `/` where it lay in a folder's folder; unique among
            the sources found together.
        path: the file.
    """

    name: str
    path: Path

    @property
    def boxes(self) -> Path | None:
        """The face box file beside it, NAME.boxes.csv (`recon.face.crop`), or None."""
        return self._beside(BOXES_ENDING)

    @property
    def landmarks(self) -> Path | None:
        """The landmarks beside a photograph (`recon.face.labels`), or None."""
        found = (self._beside(ending) for ending in LANDMARK_ENDINGS)
        return None if self.is_video else next(filter(None, found), None)

    def _beside(self, ending: str) -> Path | None:
        first, point, last = ending.rpartition(".")
        # With its ending a name can become longer than the disk allows: then there is no such file.
        with suppress(OSError):
            for form in (ending, first + point + last.upper(), ending.upper()):
                path = self.path.with_name(self.path.stem + form)
                if path.is_file():
                    return path
        return None

    @property
    def is_video(self) -> bool:
        """By the file name's ending."""
        return self.path.suffix.lower() in VIDEOS


def find_sources(paths: Iterable[Path], leave_out: Path | None = None) -> list[Source]:
    """The files given and those in the folders given and below them, the latter sorted by path.

    A file in a folder is called by its path within it, so results keep the folder's shape.

    Args:
        paths: files and folders.
        leave_out: a folder whose content is no source, for example that of the results.

    Raises:
        FacebenchError: a folder holds neither photographs nor videos.
    """
    found: dict[Path, tuple[Path, PurePosixPath]] = {}
    for path in paths:
        items = _in_folder(path, leave_out) if path.is_dir() else {path: PurePosixPath(path.name)}
        # A file given by itself and inside of its folder is one source, under its first name.
        for file, name in items.items():
            found.setdefault(file.absolute(), (file, name))
    files, names = [file for file, _ in found.values()], [name for _, name in found.values()]
    return [Source(name, path) for path, name in zip(files, _names(names), strict=True)]


def _names(relative: Iterable[PurePosixPath]) -> Iterator[str]:
    """Unique names: without the ending where that is enough, then with it, then numbered."""
    files = list(relative)
    stems = Counter(file.with_suffix("") for file in files)
    seen: Counter[str] = Counter()
    for file in files:
        stem = file.with_suffix("")
        first = stem.with_name(_FURTHER_FACE.sub("", stem.name) or stem.name)
        # Also where it would be taken for a further face of another photograph.
        plain = stems[stem] == 1 and (first == stem or first not in stems)
        whole = str(file.with_suffix("") if plain else file.with_name(file.name.replace(".", "_")))
        name = _shorten(whole)
        # A name that took in its ending may be the whole name of another file.
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}_{seen[name]}"


def _shorten(name: str) -> str:
    """A name that leaves room for the endings of results; what is cut off is told by its hash."""
    folder, slash, last = name.rpartition("/")
    content = last.encode("utf-8", "surrogateescape")
    if len(content) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(content).hexdigest()[:8]
    return f"{folder}{slash}{content[: _LONGEST_NAME - 9].decode('utf-8', 'ignore')}-{digest}"


def _in_folder(folder: Path, leave_out: Path | None) -> dict[Path, PurePosixPath]:
    known = PHOTOGRAPHS | VIDEOS
    files = {
        item: PurePosixPath(item.relative_to(folder).as_posix())
        for item in files_below(folder)
        if item.suffix.lower() in known and not _is_in(item, leave_out)
    }
    if not files:
        raise FacebenchError(
            f"{folder}: neither photographs nor videos in it",
            f"known endings: {' '.join(sorted(known))}",
        )
    return files


def _is_in(item: Path, leave_out: Path | None) -> bool:
    # By what paths lead to: results may lie below a source under another name.
    return leave_out is not None and leave_out.resolve() in item.resolve().parents


def read_photograph(path: Path) -> NDArray[np.uint8]:
    """RGB pixels (H, W, 3), upright as the camera was held.

    Raises:
        FacebenchError: the file is no picture, damaged, or too large to be opened safely.
    """
    try:
        return np.asarray(read_picture(path, "RGB"))
    except (OSError, ValueError) as error:
        if str(error) == NOT_A_PICTURE:
            raise FacebenchError(
                NOT_A_PICTURE, "known are JPEG, PNG, TIFF, WebP, AVIF, JPEG 2000, HEIC …"
            ) from error
        said = str(error) if isinstance(error, ValueError) else error_line(error)
        raise FacebenchError("the picture cannot be read", said) from error
