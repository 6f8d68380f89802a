"""What a user points at for reconstruction: photographs, videos, and folders of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ..files.pictures import NOT_A_PICTURE, read_picture

PHOTOGRAPHS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
VIDEOS = frozenset(
    {".mp4", ".avi", ".mov", ".mjpg", ".mjpeg", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}
)
BOXES_ENDING = ".boxes.csv"


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
        path = self.path.with_name(self.path.stem + BOXES_ENDING)
        return path if path.is_file() else None

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
    found: dict[Path, PurePosixPath] = {}
    for path in paths:
        items = _in_folder(path, leave_out) if path.is_dir() else {path: PurePosixPath(path.name)}
        found |= {file: name for file, name in items.items() if file not in found}
    return [Source(name, path) for path, name in zip(found, _names(found.values()), strict=True)]


def _names(relative: Iterable[PurePosixPath]) -> Iterator[str]:
    """Unique names: without the ending where that is enough, then with it, then numbered."""
    files = list(relative)
    stems = Counter(file.with_suffix("") for file in files)
    seen: Counter[str] = Counter()
    for file in files:
        plain = stems[file.with_suffix("")] == 1
        name = str(file.with_suffix("") if plain else file.with_name(file.name.replace(".", "_")))
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}_{seen[name]}"


def _in_folder(folder: Path, leave_out: Path | None) -> dict[Path, PurePosixPath]:
    known = PHOTOGRAPHS | VIDEOS
    files = {
        item: PurePosixPath(item.relative_to(folder).as_posix())
        for item in sorted(folder.rglob("*"))
        if item.suffix.lower() in known and not _hidden_or_in(item, folder, leave_out)
    }
    if not files:
        raise FacebenchError(
            f"{folder}: neither photographs nor videos in it",
            f"known endings: {' '.join(sorted(known))}",
        )
    return files


def _hidden_or_in(item: Path, folder: Path, leave_out: Path | None) -> bool:
    hidden = any(part.startswith(".") for part in item.relative_to(folder).parts)
    return hidden or (leave_out is not None and leave_out.resolve() in item.resolve().parents)


def read_photograph(path: Path) -> NDArray[np.uint8]:
    """RGB pixels (H, W, 3), upright as the camera was held.

    Raises:
        FacebenchError: the file is no picture, damaged, or too large to be opened safely.
    """
    try:
        return np.asarray(read_picture(path, "RGB"))
    except (OSError, ValueError) as error:
        if str(error) == NOT_A_PICTURE:
            raise FacebenchError(NOT_A_PICTURE, "known are JPEG, PNG, TIFF, WebP …") from error
        raise FacebenchError("the picture cannot be read", error_line(error)) from error
