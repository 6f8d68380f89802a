"""Tracks of faces through a film: cuts, jumps, and which faces are one person's.

A film is read in chunks, by several workers, and its faces are added up where they are read. So a
track is kept as segments: runs of faces one after the other without a cut or a jump between them.
What joins two segments is decided by their ends alone; where a chunk ends makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import count_of, some
from .crop import Box

STRAYED = 1.0
"""A face further from where it is expected than its own size is another one, or none: two people
cannot be nearer. One head in a shaken or sparsely sampled film was seen to move by 0.8 of it."""
RESIZED = 1.5
"""So is one larger or smaller by this factor."""
NEIGHBOURS = 7
"""Faces, one after the other, whose median place and size a face is compared with; and frames
after which a person may have come nearer or gone further by any factor."""
RETURNED = 1.0
"""A person who was not the last one seen comes back within so many face sizes."""

THUMBNAIL = 32
CUT_GREY, CUT_RATIO = 20.0, 2.0
"""A picture that differs by more grey values (of 255, thumbnails' mean) from the one before, and by
this factor more than its neighbours do, begins another take; a flash differs twice."""

Segments = NDArray[np.float64]
"""(S, 10), a segment per row: first and last frame, faces found, faces described, then of its first
and its last face centre x, y in px and the logarithm of the longer side."""
FIRST, LAST, FOUND, DESCRIBED = range(4)
_BEGIN, _END = slice(4, 7), slice(7, 10)
WIDTH = 10


def places_of(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Centre (px) and logarithm of the longer side of boxes, (N, 3)."""
    sides = np.array([[box.left, box.top, box.width, box.height] for box in boxes]).reshape(-1, 4)
    size = np.log(sides[:, 2:].max(axis=1, keepdims=True))
    return np.hstack([sides[:, :2] + sides[:, 2:] / 2.0, size])


def jumps(
    before: NDArray[np.float64], after: NDArray[np.float64], gap: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether faces are at once elsewhere, or of another size.

    Args:
        before, after: (N, 3) places.
        gap: (N,) frames between them.
    """
    # Where the face was not seen for a while it may have gone as much further.
    strayed = _steps(before, after) > STRAYED * gap
    return strayed | (_size_jumps(before, after) & (gap <= NEIGHBOURS))


def _steps(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ways between places, in sizes of the later face."""
    ways = np.linalg.norm((after - before)[..., :2], axis=-1)
    return np.asarray(ways / np.exp(after[..., 2]))


def _size_jumps(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.abs((after - before)[..., 2]) > np.log(RESIZED))


def grey_thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A frame (H, W, 3) at 32 x 32 grey values, for comparing it with its neighbours."""
    small = Image.fromarray(frame).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small.convert("L"), np.float32)


def large_changes(
    frames: NDArray[np.uint8], first: int, before: NDArray[np.uint8] | None
) -> NDArray[np.float64]:
    """Frames (C, 2) that differ much from the one before: their number, and by how much.

    What is not listed differs by less than half of a cut, so that it decides nothing; a change of
    size is infinite.

    Args:
        frames: (N, H, W, 3) of a chunk.
        first: number of the first.
        before: (H, W, 3) the frame before, or None at the beginning of the film.
    """
    small = [grey_thumbnail(frame) for frame in frames]
    changes = np.array([0.0, *(np.abs(b - a).mean() for a, b in pairwise(small))])
    if before is not None and len(frames):
        same = before.shape == frames[0].shape
        changes[0] = np.abs(small[0] - grey_thumbnail(before)).mean() if same else np.inf
    large = np.flatnonzero(changes[: len(frames)] > CUT_GREY / CUT_RATIO)
    return np.column_stack([large + float(first), changes[large]])


def find_cuts(changes: NDArray[np.floating]) -> NDArray[np.int64]:
    """Numbers of the frames with which another take begins.

    Args:
        changes: (N,) mean difference of each frame from the one before, grey values of 255;
            infinite where the size of the picture changed.
    """
    changes = np.asarray(changes, np.float64)
    resized = np.isinf(changes)
    # Beside a change of size, which says nothing of the pictures, a cut is judged by itself.
    changes = np.where(resized, 0.0, changes)
    before = np.concatenate([[0.0], changes[:-1]])
    after = np.concatenate([changes[1:], [0.0]])
    neighbours = np.maximum(before, after)
    cut = (changes > CUT_GREY) & (changes > CUT_RATIO * neighbours)
    return np.flatnonzero(cut | resized)


def segments_of(
    numbers: Sequence[int], boxes: Sequence[Box], changes: NDArray[np.float64]
) -> Segments:
    """The segments of a chunk's faces, in the order of the frames.

    Args:
        numbers: (N,) of the frames in which a face was found, ascending.
        boxes: of those faces.
        changes: (C, 2) as `large_changes` gives them.
    """
    if not len(numbers):
        return np.empty((0, WIDTH))
    frames, places = np.asarray(numbers), places_of(boxes)
    # Whether it is a cut depends on the next frame, which another chunk may have: `join_segments`
    # knows, and joins again what only a flash has parted.
    maybe = changes[changes[:, 1] > CUT_GREY, 0]
    take = np.searchsorted(maybe, frames, side="right")
    apart = jumps(places[:-1], places[1:], np.diff(frames)) | (np.diff(take) > 0)
    pieces = np.split(np.arange(len(frames)), np.flatnonzero(apart) + 1)
    return np.array(
        [
            [frames[p[0]], frames[p[-1]], len(p), len(p), *places[p[0]], *places[p[-1]]]
            for p in pieces
        ]
    )


def join_segments(segments: Segments, changes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which segments are one person's: for each the number of its track, from 0.

    A track ends at a cut. Within a take a face goes on with the track of the face before it unless
    it jumps; then with one that was there before, where it is near its last place: what a detector
    takes for a face in between parts nobody from himself. Else it begins a track.

    Args:
        segments: (S, 10) of the whole film, in the order of the frames.
        changes: (C, 2) of the whole film, as `large_changes` gives them.
    """
    takes = np.searchsorted(_cuts(changes), segments[:, FIRST], side="right")
    labels = np.zeros(len(segments), np.int64)
    last: dict[int, int] = {}
    for index, segment in enumerate(segments):
        if index and takes[index] != takes[index - 1]:
            last = {}
        label = _continues(segments, segment, last, int(labels[index - 1])) if last else None
        labels[index] = label if label is not None else labels[:index].max(initial=-1) + 1
        last[int(labels[index])] = index
    return labels


def _continues(
    segments: Segments, segment: NDArray[np.float64], last: dict[int, int], newest: int
) -> int | None:
    """The track that a segment goes on with; None for another person, or none."""
    known = list(last)
    ends = segments[[last[track] for track in known]]
    gap = segment[FIRST] - ends[:, LAST]
    places = ends[:, _END]
    begin = np.broadcast_to(segment[_BEGIN], places.shape)
    apart = jumps(places, begin, gap)
    at = known.index(newest)
    if not apart[at]:
        return newest
    steps = _steps(places, begin)
    steps[apart | (steps > RETURNED) | _size_jumps(places, begin)] = np.inf
    nearest = int(np.argmin(steps))
    return known[nearest] if np.isfinite(steps[nearest]) else None


def _cuts(changes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cuts of a film of which only the large changes are known."""
    if not len(changes):
        return np.empty(0, np.int64)
    dense = np.zeros(int(changes[:, 0].max()) + 2)
    dense[changes[:, 0].astype(np.int64)] = changes[:, 1]
    return find_cuts(dense)


def longest_track(
    segments: Segments, changes: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], tuple[tuple[int, int, int], ...]]:
    """The person of a film: the track with the most described faces, of equal ones the first.

    Args:
        segments, changes: as in `join_segments`.

    Returns:
        Which segments (S,) are the person's, and of every other track with a face its first and
        last frame and its number of faces, the largest first.
    """
    labels = join_segments(segments, changes)
    counts = np.bincount(labels, segments[:, DESCRIBED]).astype(np.int64)
    longest = int(np.argmax(counts)) if len(counts) else 0
    others = [
        (int(of[0, FIRST]), int(of[-1, LAST]), int(count))
        for track, count in enumerate(counts)
        if track != longest and count and len(of := segments[labels == track])
    ]
    # Sorting is stable: of tracks of one length the earlier stands first.
    return labels == longest, tuple(sorted(others, key=lambda other: -other[2]))


def describe_others(others: Sequence[tuple[int, int, int]]) -> str:
    """The tracks that were left out in words, with their frames."""
    spans = [
        f"frames {first} to {last}" if last > first else f"frame {first}"
        for first, last, _ in others
    ]
    counts = [count_of(count, "face") for *_, count in others]
    return some([f"{span} ({count})" for span, count in zip(spans, counts, strict=True)], 3)
