"""The faces of a video as one person's track, and its pose, expression and light smoothed.

A Savitzky-Golay filter (1964) fits a parabola to the frames around each: it takes away the jitter
of a network that sees every frame on its own, and follows a nod or a smile without lag, which a
causal filter cannot. Where the face was not found for a while, the filter starts anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter

from ..face.coefficients import FaceCoefficients, Floats
from ..face.crop import Box, is_inside
from ..face.tracks import NEIGHBOURS, RESIZED, STRAYED, find_cuts, grey_thumbnail, jumps, places_of
from ..video.decode import Chunk
from ..vision.detect import FaceDetector
from .reconstructor import FaceCrop, Reconstructor

Item = TypeVar("Item")

SHEET_ROWS = 6
"""Most frames of a video that its sheet shows and its texture is made of."""

_HELD = 4 * SHEET_ROWS
"""More are kept on the way, so that each take has some."""

_ORDER, _GAP = 2, 5
"""Of the smoothing polynomial; frames without a face after which the filter starts anew."""


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
            # Every second one: what stays is as even as before.
            self._held = self._held[::2]
            self._step *= 2

    def skip(self) -> None:
        """Pass over the stream's next item."""
        self._seen += 1

    def __iter__(self) -> Iterator[Item]:
        count = min(self.size, len(self._held))
        yield from (self._held[i * len(self._held) // count] for i in range(count))


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
        others: first and last frame of every other take, and its number of faces.
    """

    numbers: NDArray[np.int64]
    boxes: list[Box]
    faces: FaceCoefficients
    image_size: tuple[int, int]
    shots: tuple[tuple[int, FaceCrop], ...]
    left_out: int = 0
    others: tuple[tuple[int, int, int], ...] = ()


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
        self._times: dict[int, float] = {}
        self._shots: EvenSample[tuple[int, FaceCrop]] = EvenSample(_HELD)
        self._reconstructor, self._detector, self._given = reconstructor, detector, boxes
        self._numbers: list[int] = []
        self._boxes: list[Box] = []
        self._faces: list[FaceCoefficients] = []
        self._sizes: list[tuple[int, int]] = []
        self._changes: list[float] = []
        self._thumbnail: NDArray[np.float32] | None = None

    def add(self, chunk: Chunk) -> None:
        """Add the faces of a chunk."""
        self.frames += len(chunk.frames)
        self._times |= dict(enumerate(chunk.times, chunk.first_frame))
        self.reason = self.reason or chunk.reason
        self._compare(chunk.frames)
        size = self._reconstructor.crop_size
        found = [(number, FaceCrop(frame, box, size)) for number, frame, box in self._find(chunk)]
        if not found:
            return
        faces = self._reconstructor.regress(np.stack([shot.crop for _, shot in found]))
        for index, (number, shot) in enumerate(found):
            self._hold(number, shot)
            self._faces.append(shot.in_picture(faces[index])[None])

    def times(self, numbers: NDArray[np.integer], rate: float) -> NDArray[np.float64]:
        """Seconds from the first frame to frames by their number, ascending.

        By the file where it tells times that grow from frame to frame, else by the rate.
        """
        told = np.array(list(self._times.values()))
        # A film that was put together begins anew in its middle.
        if len(told) == self.frames and (np.diff(told) > 0).all() and np.isfinite(told).all():
            # By number: a frame that could not be converted has a number and no time.
            return np.array([self._times[number] for number in numbers.tolist()])
        return np.asarray(numbers, np.float64) / rate

    def track(self) -> Track | None:
        """The longest take of one person; None without a face.

        A take ends at a cut, where the size of the picture changes, and where the face jumps.
        """
        if not self._faces:
            return None
        faces = FaceCoefficients.join(self._faces)
        whole = Track(
            np.array(self._numbers), self._boxes, faces, self._sizes[0], tuple(self._shots)
        )
        # A file that was put together from two has their sizes, and poses are of a picture's size.
        resized = [a != b for a, b in pairwise(self._sizes)]
        take = np.concatenate([[0], np.cumsum(resized, dtype=np.int64)])
        if self._given is None:
            starts = find_cuts(np.array(self._changes))
            take = take + np.searchsorted(starts, whole.numbers, side="right")
        takes = [
            self._one_take(whole, np.flatnonzero(take == number)) for number in np.unique(take)
        ]
        # Boxes from a file are somebody's word that this is one person, wherever they lie.
        if self._given is None:
            takes = [part for whole_take in takes for part in split_at_jumps(whole_take)]
        takes = [part for part in takes if len(part.numbers)]
        if not takes:
            return None
        # A take of which no picture was kept cannot be drawn, and is a short one of many.
        drawn = [part for part in takes if part.shots] or takes
        longest = max(drawn, key=lambda part: len(part.numbers))
        others = tuple(
            (int(part.numbers[0]), int(part.numbers[-1]), len(part.numbers))
            for part in takes
            if part is not longest
        )
        kept = sum(len(part.numbers) for part in takes)
        # Evenly over the take that was chosen, for what was held is even over the whole video.
        few = np.linspace(0, len(longest.shots) - 1, min(SHEET_ROWS, len(longest.shots)))
        shots = tuple(longest.shots[round(i)] for i in few)
        left_out = len(whole.numbers) - kept
        return replace(longest, left_out=left_out, others=others, shots=shots)

    def _one_take(self, whole: Track, index: NDArray[np.int64]) -> Track:
        part = _part_of(whole, index)
        part = replace(part, image_size=self._sizes[int(index[0])])
        return part if self._given is not None else drop_outliers(part)

    def _compare(self, frames: NDArray[np.uint8]) -> None:
        """Note by how much each frame differs from the one before."""
        for frame in frames:
            grey = grey_thumbnail(frame)
            last, self._thumbnail = self._thumbnail, grey
            self._changes.append(0.0 if last is None else float(np.abs(grey - last).mean()))

    def _find(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8], Box]]:
        for number, frame in enumerate(chunk.frames, chunk.first_frame):
            given = self._given
            if given is None:
                box = self._detector.detect(frame)
            else:
                box = given[number].times(chunk.scale) if number in given else None
                box = box if box is not None and is_inside(box, frame) else None
            if box is not None:
                yield number, frame, box

    def _hold(self, number: int, shot: FaceCrop) -> None:
        if self._shots.wants_next():
            self._shots.add((len(self._numbers), shot))
        else:
            self._shots.skip()
        self._numbers.append(number)
        self._boxes.append(shot.box)
        self._sizes.append(shot.image_size)


def drop_outliers(track: Track) -> Track:
    """The track without the faces that lie apart from their neighbours in time.

    A detector that looks at each frame alone now and then takes something else for the face; one
    such frame would spoil the person's mean and its neighbours' smoothed pose.
    """
    places = places_of(track.boxes)
    # A median: one stray face moves it by nothing, a walking person carries it along.
    usual = median_filter(places, size=(NEIGHBOURS, 1), mode="mirror")
    away = np.linalg.norm((places - usual)[:, :2], axis=1) / np.exp(usual[:, 2])
    other_size = np.abs(places[:, 2] - usual[:, 2]) > np.log(RESIZED)
    return _part_of(track, np.flatnonzero(~other_size & (away <= STRAYED)))


def split_at_jumps(track: Track) -> list[Track]:
    """The takes of a track between which the face is at once elsewhere, or of another size."""
    if len(track.numbers) < 2:
        return [track]
    places = places_of(track.boxes)
    ends = np.flatnonzero(jumps(places[:-1], places[1:], np.diff(track.numbers)))
    pieces = np.split(np.arange(len(track.numbers)), ends + 1)
    return [_part_of(track, piece) for piece in pieces] if len(pieces) > 1 else [track]


def smooth(
    faces: FaceCoefficients,
    frames: NDArray[np.integer],
    rate: float,
    seconds: float = 0.36,
) -> FaceCoefficients:
    """Faces (N, ...) of one video with their pose, expression and light smoothed.

    Args:
        faces: poses in the picture's coordinates, not in crops that jump about.
        frames: (N,) ascending numbers of their frames. Missing frames within a run are bridged
            by straight lines.
        rate: frames per second.
        seconds: length of the filter's window; a third of a second holds a blink's half.
    """
    # The filter needs an odd window.
    length = 2 * round(seconds * rate / 2.0) + 1
    pose = _as_curves(faces.pose)
    values = np.hstack([pose, faces.expression, faces.light.reshape(len(faces), -1)])
    # A face that comes back after a gap may be elsewhere: a parabola across would invent the way.
    runs = np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) > _GAP) + 1)
    smoothed = np.concatenate([_run(values[run], frames[run], length) for run in runs])
    size, last = faces.expression.shape[1], faces.light.shape
    return replace(
        faces,
        pose=np.hstack([smoothed[:, :6], np.exp(smoothed[:, 6:7])]),
        expression=smoothed[:, 7 : 7 + size],
        light=smoothed[:, 7 + size :].reshape(last),
    )


def _part_of(track: Track, index: NDArray[np.int64]) -> Track:
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


def _as_curves(pose: Floats) -> Floats:
    """Angles without jumps of 2π, the scale as its logarithm."""
    # 179° and -179° are neighbours; as numbers the filter would pass through 0.
    angles = np.unwrap(pose[:, :3], axis=0)
    return np.hstack([angles, pose[:, 3:6], np.log(pose[:, 6:])])


def _run(values: Floats, frames: NDArray[np.integer], length: int) -> Floats:
    """One run of frames; one shorter than the polynomial needs stays as it is."""
    every = np.arange(frames[0], frames[-1] + 1)
    longest = len(every) - 1 + len(every) % 2
    # A run shorter than the window is smoothed with the longest that it holds.
    window = min(length, longest)
    if window <= _ORDER + 1:
        return values
    # The last known frame at or before each; missing ones are interpolated, for the filter needs
    # equal steps.
    known = np.searchsorted(frames, every, side="right") - 1
    following = np.minimum(known + 1, len(frames) - 1)
    span = np.maximum(frames[following] - frames[known], 1)
    share = ((every - frames[known]) / span)[:, None]
    whole = values[known] + share * (values[following] - values[known])
    smoothed: Floats = savgol_filter(whole, window, _ORDER, axis=0)[frames - frames[0]]
    return smoothed
