"""CelebAMask-HQ as it is distributed: photographs, and one black and white picture a part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ....errors import FacebenchError
from ...files.pictures import read_picture
from ...vision.parsing import PART_NAMES
from .shards import Sample

PHOTOGRAPHS = "CelebA-HQ-img"
PARTS = "CelebAMask-HQ-mask-anno"
PER_FOLDER = 2000
"""Faces whose parts share one of the numbered folders under `PARTS`."""

_WHITE = 128


class CelebAMaskFaces:
    """The photographs with their parts joined to one mask in BiSeNet order; no landmarks.

    A part lies on top of those before it in that order: hair over skin, a hat over hair. Sides are
    taken as the files name them.

    Args:
        folder: holds `CelebA-HQ-img` and `CelebAMask-HQ-mask-anno`.
        limit: how many photographs to use at most, None for all.

    Raises:
        FacebenchError: one of the two folders is missing or empty.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        if not (folder / PARTS).is_dir():
            raise FacebenchError(
                f"{folder} holds no {PARTS}", "give the folder that CelebAMask-HQ unpacks to"
            )
        found = (path for path in (folder / PHOTOGRAPHS).glob("*.jpg") if path.stem.isdigit())
        self._photographs = sorted(found, key=lambda path: int(path.stem))[:limit]
        if not self._photographs:
            raise FacebenchError(
                f"{folder / PHOTOGRAPHS} holds no photographs (0.jpg, 1.jpg, ...)",
                "give the folder that CelebAMask-HQ unpacks to",
            )

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Whether a folder looks like the data set."""
        return (folder / PARTS).is_dir()

    @property
    def model_digest(self) -> str:
        """Empty: there is no face model behind photographs."""
        return ""

    def __len__(self) -> int:
        return len(self._photographs)

    @property
    def groups(self) -> tuple[int, ...]:
        """All photographs as one piece: each is a file of its own, in any order."""
        return (len(self),)

    def sample(self, row: int) -> Sample:
        """One photograph at the size of its parts, with its mask.

        Raises:
            FacebenchError: the photograph or a part cannot be read, or no part is there.
        """
        path = self._photographs[row]
        try:
            # Parts first: their size, half the photograph's, decides the sample's.
            mask = self._mask(int(path.stem))
            photograph = read_picture(path, "RGB")
            # BOX averages whole pixels at a whole factor, as here 1024 to 512.
            image = photograph.resize(mask.shape[::-1], Image.Resampling.BOX)
        except (OSError, ValueError, IndexError) as error:
            raise FacebenchError(f"{path} or its parts cannot be read: {error}") from error
        # Unknown, not (0, 0): a loss leaves NaN out.
        landmarks = np.full((68, 2), np.nan, dtype=np.float32)
        return Sample(np.asarray(image), landmarks, mask)

    def _mask(self, number: int) -> NDArray[np.uint8]:
        folder = self.folder / PARTS / str(number // PER_FOLDER)
        paths = [
            (label, folder / f"{number:05d}_{part}.png") for label, part in enumerate(PART_NAMES)
        ]
        # Background, the first, has no picture of its own.
        found = [(label, path) for label, path in paths[1:] if path.is_file()]
        if not found:
            raise FacebenchError(f"{folder} holds no parts of face {number:05d}")
        mask = np.zeros(_part(found[0][1]).shape, dtype=np.uint8)
        # In BiSeNet order: a later part lies on top of an earlier one.
        for label, path in found:
            mask[_part(path)] = label
        return mask


def _part(path: Path) -> NDArray[np.bool_]:
    part = read_picture(path, "L")
    if part.width != part.height:  # the photograph is brought to this size, whatever it is
        raise ValueError(f"{path.name} is {part.width} x {part.height} pixels, not square")
    return np.asarray(part) >= _WHITE
