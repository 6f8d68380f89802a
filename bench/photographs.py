"""What a user points at for reconstruction: photographs, videos, and folders of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import FacebenchError

PHOTOGRAPHS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
VIDEOS = frozenset(
    {".mp4", ".avi", ".mov", ".mjpg", ".mjpeg", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}
)


@dataclass(frozen=True)
class Source:
    """One photograph or video.

    Attributes:
        name: what its results are called; unique among the sources found together.
        path: the file.
    """

    name: str
    path: Path

    @property
    def is_video(self) -> bool:
        """By the file name's ending."""
        return self.path.suffix.lower() in VIDEOS


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """The files given and those in the folders given, the latter sorted by name.

    Raises:
        FacebenchError: a folder holds neither photographs nor videos.
    """
    files = [file for path in paths for file in (_in_folder(path) if path.is_dir() else [path])]
    files = list(dict.fromkeys(files))
    stems = Counter(file.stem for file in files)
    names = [f.stem if stems[f.stem] == 1 else f.name.replace(".", "_") for f in files]
    seen: Counter[str] = Counter()
    sources = []
    for name, file in zip(names, files, strict=True):
        seen[name] += 1
        unique = name if seen[name] == 1 else f"{name}_{seen[name]}"
        sources.append(Source(unique, file))
    return sources


def _in_folder(folder: Path) -> list[Path]:
    known = PHOTOGRAPHS | VIDEOS
    files = sorted(item for item in folder.iterdir() if item.suffix.lower() in known)
    if not files:
        raise FacebenchError(
            f"{folder}: neither photographs nor videos in it",
            f"known endings: {' '.join(sorted(known))}",
        )
    return files


def read_photograph(path: Path) -> NDArray[np.uint8]:
    """RGB pixels (H, W, 3), upright as the camera was held.

    Raises:
        FacebenchError: the file is no picture, damaged, or too large to be opened safely.
    """
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            return np.asarray(upright.convert("RGB"))
    except UnidentifiedImageError as error:
        raise FacebenchError("not a picture", "known are JPEG, PNG, TIFF, WebP …") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FacebenchError("the picture cannot be read", str(error).splitlines()[0]) from error
