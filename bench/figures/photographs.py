"""Photographs of known people: from folders as they are published, or made by this package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ...recon.portraits.photographs import Source, find_sources, read_photograph
from ...recon.vision.boxes import read_boxes
from ...recon.vision.crop import Box, crop_square, crop_window
from ...recon.vision.detect import FaceDetector
from .image_landmarks import box_of_landmarks, landmarks_beside, read_image_landmarks

_LFW = re.compile(r"(?P<name>.+)_\d{4}")
LARGEST = 1024


@dataclass(frozen=True, eq=False)
class Photograph:
    """One face in one picture.

    Attributes:
        name: unique among those shown together, with `/` where it lay in a folder's folder.
        subject: whose face it is.
        frame: (H, W, 3) uint8 RGB.
        box: of its landmarks, px.
        group: what tells it from the subject's others, such as `pose`; or empty.
    """

    name: str
    subject: str
    frame: NDArray[np.uint8]
    box: Box
    group: str = ""

    def crop(self, size: int) -> NDArray[np.uint8]:
        """The face as a square (size, size, 3), as methods take it."""
        return crop_square(self.frame, self.box, size)

    @property
    def caption(self) -> str:
        """The last part of its name, as a figure has room for."""
        return PurePosixPath(self.name).name

    @property
    def portrait(self) -> NDArray[np.uint8]:
        """The same square as large as the picture gives it."""
        return self.crop(int(np.clip(round(crop_window(self.box).side), 256, LARGEST)))


@dataclass(frozen=True)
class Found:
    """Photographs that can be shown, and one line for each that cannot.

    Attributes:
        photographs: each with a face.
        problems: name and reason of the others that were looked at.
    """

    photographs: tuple[Photograph, ...]
    problems: tuple[str, ...]


def subject_of(source: Source) -> str:
    """Whose photograph a file is, by the ways in which sets are published.

    `NAME/NAME_0001.jpg` (LFW) and `NAME/anything.jpg` are of NAME; a file that lies directly in the
    folder (MoFA-test) is of somebody of its own, unless it is called as LFW's are.
    """
    name = PurePosixPath(source.name)
    if len(name.parts) > 1:
        return str(name.parent)
    numbered = _LFW.fullmatch(name.name)
    return numbered["name"] if numbered else name.name


def photograph_sources(paths: Sequence[Path]) -> list[Source]:
    """The photographs of files and folders; videos are left out.

    Raises:
        FacebenchError: there is none.
    """
    found = [source for source in find_sources(paths) if not source.is_video]
    if not found:
        raise FacebenchError(f"{', '.join(map(str, paths))}: no photographs in it")
    return found


def by_subject(sources: Sequence[Source]) -> dict[str, list[Source]]:
    """The files of each person, in order."""
    people: dict[str, list[Source]] = {}
    for source in sources:
        people.setdefault(subject_of(source), []).append(source)
    return people


def read_faces(sources: Sequence[Source], detector: FaceDetector, limit: int) -> Found:
    """The first photographs with a face; those without are told and the next is taken.

    Args:
        sources: photographs.
        detector: of the face, where neither boxes nor landmarks lie beside one.
        limit: how many are wanted.
    """
    photographs: list[Photograph] = []
    problems: list[str] = []
    for source in sources:
        if len(photographs) == limit:
            break
        try:
            photographs.append(_read(source, detector))
        except FacebenchError as error:
            problems.append(f"{source.path}: {error}")
    return Found(tuple(photographs), tuple(problems))


def _read(source: Source, detector: FaceDetector) -> Photograph:
    frame = read_photograph(source.path)
    box = next((box for look in _LOOKS if (box := look(source)) is not None), None)
    box = box or detector.detect(frame)
    if box is None:
        raise FacebenchError(
            "no face was found", "give its box in NAME.boxes.csv or its landmarks in NAME.pts"
        )
    return Photograph(source.name, subject_of(source), frame, box)


def _given_box(source: Source) -> Box | None:
    return read_boxes(source.boxes).get(0) if source.boxes else None


def _landmark_box(source: Source) -> Box | None:
    path = landmarks_beside(source.path)
    return box_of_landmarks(read_image_landmarks(path)) if path else None


_LOOKS: tuple[Callable[[Source], Box | None], ...] = (_given_box, _landmark_box)
"""Where a face's place can be given, in the order in which it is asked."""


def crops_of(photographs: Sequence[Photograph], size: int) -> NDArray[np.uint8]:
    """The faces as one batch (B, size, size, 3)."""
    return np.stack([photograph.crop(size) for photograph in photographs])


def several_of_each(
    sources: Sequence[Source], detector: FaceDetector, people: int, each: int
) -> Iterator[Found]:
    """For the first people of whom enough photographs show a face, that many photographs of each.

    Raises:
        FacebenchError: nobody has two photographs.
    """
    groups = {name: files for name, files in by_subject(sources).items() if len(files) > 1}
    if not groups:
        raise FacebenchError(
            "nobody has two photographs here",
            "put each person's into a folder of their own, or call them NAME_0001.jpg as LFW does",
        )
    taken = 0
    for files in groups.values():
        if taken == people:
            return
        found = read_faces(files, detector, each)
        enough = len(found.photographs) > 1
        taken += enough
        yield found if enough else Found((), found.problems)
