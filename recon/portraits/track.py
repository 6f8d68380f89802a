"""The faces of a video as one person's track."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from ..face.coefficients import FaceCoefficients
from ..face.crop import Box
from ..video.decode import Chunk
from ..vision.detect import FaceDetector
from .reconstructor import FaceCrop, Reconstructor

Item = TypeVar("Item")


class EvenSample(Generic[Item]):
    """Keeps every n-th item of a stream, n doubling when too many are held.

    Iterating gives at most `size` of the items held, the first among them, evenly spaced.

    Args:
        size: most items that iterating gives; fewer than twice as many are held.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._step = 1
        self._seen = 0
        self._held: list[Item] = []

    def wants_next(self) -> bool:
        """Whether the stream's next item would be held: only then it need be made."""
        return self._seen % self._step == 0

    def add(self, item: Item) -> None:
        """Hold the stream's next item."""
        self._held.append(item)
        self.skip()
        if len(self._held) >= 2 * self.size:
            self._held = self._held[::2]
            self._step *= 2

    def skip(self) -> None:
        """Pass over the stream's next item."""
        self._seen += 1

    def __iter__(self) -> Iterator[Item]:
        count = min(self.size, len(self._held))
        yield from (self._held[i * len(self._held) // count] for i in range(count))


SHEET_ROWS = 6
"""Most frames of a video that its sheet shows and its texture is made of."""

NEIGHBOURS = 7
"""Faces, one after the other, whose median place and size a face is compared with."""

STRAYED = 0.5
"""A face further from that place than this share of its size is another one, or none."""

RESIZED = 1.5
"""So is one larger or smaller than the median by this factor."""


@dataclass(frozen=True, eq=False)
class Track:
    """The N faces of a video.

    Attributes:
        numbers: (N,) of their frames, ascending.
        boxes: of their landmarks, px.
        faces: (N, ...), poses in the frame's coordinates.
        image_size: (height, width) of the frames.
        shots: a few of the faces, evenly spaced, each with its index among the N.
        left_out: faces found that were not this person's.
    """

    numbers: NDArray[np.int64]
    boxes: list[Box]
    faces: FaceCoefficients
    image_size: tuple[int, int]
    shots: tuple[tuple[int, FaceCrop], ...]
    left_out: int = 0


class TrackBuilder:
    """Finds and regresses the faces of a video, chunk by chunk, keeping no frames but a few shots.

    Args:
        reconstructor: network and face model.
        detector: finds the face.
        boxes: face boxes by frame from a file beside the video; the detector is then not asked.
    """

    def __init__(
        self,
        reconstructor: Reconstructor,
        detector: FaceDetector,
        boxes: Mapping[int, Box] | None = None,
    ) -> None:
        self.frames = 0
        self.reason = ""
        self._shots: EvenSample[tuple[int, FaceCrop]] = EvenSample(SHEET_ROWS)
        self._reconstructor, self._detector, self._given = reconstructor, detector, boxes
        self._numbers: list[int] = []
        self._boxes: list[Box] = []
        self._faces: list[FaceCoefficients] = []
        self._image_size = (1, 1)

    def add(self, chunk: Chunk) -> None:
        """Add the faces of a chunk."""
        self.frames += len(chunk.frames)
        self.reason = self.reason or chunk.reason
        size = self._reconstructor.crop_size
        found = [
            (number, FaceCrop.of(frame, box, size)) for number, frame, box in self._find(chunk)
        ]
        if not found:
            return
        faces = self._reconstructor.regress(np.stack([shot.crop for _, shot in found]))
        for index, (number, shot) in enumerate(found):
            self._hold(number, shot)
            self._faces.append(shot.in_picture(faces[index])[None])

    def track(self) -> Track | None:
        """Everything found so far; None without a face."""
        if not self._faces:
            return None
        faces = FaceCoefficients.join(self._faces)
        numbers = np.array(self._numbers)
        return Track(numbers, self._boxes, faces, self._image_size, tuple(self._shots))

    def _find(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8], Box]]:
        for number, frame in enumerate(chunk.frames, chunk.first_frame):
            given = self._given
            box = self._detector.detect(frame) if given is None else given.get(number)
            if box is not None:
                yield number, frame, box

    def _hold(self, number: int, shot: FaceCrop) -> None:
        if self._shots.wants_next():
            self._shots.add((len(self._numbers), shot))
        else:
            self._shots.skip()
        self._numbers.append(number)
        self._boxes.append(shot.box)
        self._image_size = shot.image_size


def drop_outliers(track: Track) -> Track:
    """The track without the faces that lie apart from their neighbours in time.

    A detector that looks at each frame alone now and then takes something else for the face; one
    such frame would spoil the person's mean and its neighbours' smoothed pose.
    """
    boxes = np.array([[box.left, box.top, box.width, box.height] for box in track.boxes])
    side = np.log(boxes[:, 2:].max(axis=1, keepdims=True))
    places = np.hstack([boxes[:, :2] + boxes[:, 2:] / 2.0, side])
    usual = median_filter(places, size=(NEIGHBOURS, 1), mode="mirror")
    away = np.linalg.norm((places - usual)[:, :2], axis=1) / np.exp(usual[:, 2])
    other_size = np.abs(places[:, 2] - usual[:, 2]) > np.log(RESIZED)
    return _kept(track, np.flatnonzero(~other_size & (away <= STRAYED)))


def _kept(track: Track, index: NDArray[np.int64]) -> Track:
    place = {int(old): new for new, old in enumerate(index)}
    shots = tuple((place[old], shot) for old, shot in track.shots if old in place)
    return replace(
        track,
        numbers=track.numbers[index],
        boxes=[track.boxes[i] for i in index],
        faces=track.faces[index],
        shots=shots,
        left_out=track.left_out + len(track.numbers) - len(index),
    )
