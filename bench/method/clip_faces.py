"""A clip's faces, chunk by chunk: decoded, found, cut out, encoded and summed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ...recon.face.crop import Box, crop_square, is_inside, read_boxes
from ...recon.face.tracks import CUT_GREY, DESCRIBED, FOUND, Segments, large_changes, segments_of
from ...recon.files.mirror import fetch
from ..dataset.interface import Clip
from .interface import Method

if TYPE_CHECKING:
    from ...recon.video.decode import Chunk

OK = "ok"
BROKEN = "broken"
FAILED = "failed"

NOT_FINITE = "the method gave values that are not finite for some faces"

FOLLOWING = 2
"""Version of how a face is followed from frame to frame: a run holds the boxes of one."""

_NO_VECTORS, _NO_SUM = np.empty((0, 0), np.float32), np.empty(0)

Crops = NDArray[np.uint8]
"""(N, S, S, 3) RGB, one a face found, in the order of the frames."""

Locate = Callable[[int, NDArray[np.uint8], Box | None], Box | None]
"""Box of the face in a frame, given the frame's number in its clip, its (H, W, 3) pixels, and the
face in the frame before: None where a chunk or a take begins, so that a chunk's faces depend on
nothing but its frames."""


@dataclass(frozen=True, eq=False)
class ChunkRow:
    """What became of one chunk of one clip; its faces are counted once they are described.

    Attributes:
        clip: `subject/scene`.
        chunk: its number in the clip, from 0.
        last: whether the clip ends with it.
        frames: frames read.
        faces: faces found and described; `frames - faces - failed` frames had no face.
        failed: faces found whose vector could not be computed or was not finite.
        status: `ok`; `broken`, the video could not be read to its end; `failed`, the method or the
            detector raised an error, and the same command tries the chunk again.
        reason: why the status is not `ok` or faces failed; else empty.
        seconds: time spent on decoding, cropping and describing.
        sum: (S D,) float64, the sum of the faces' vectors of each segment; empty without a face.
        vertices: (S 3 V,) float64, the sums of the vertices of the faces' own meshes, where meshes
            are averaged; else None.
        vectors: (N, D) float32, each face's own, where errors are averaged; else None.
        segments: (S, 10) runs of the faces without cut or jump (`recon.face.tracks`); None where
            all are one, for the boxes of a file are somebody's word that they are one person's.
        changes: (C, 2) frames that differ much from the one before, or None.
    """

    clip: str
    chunk: int
    last: bool
    frames: int
    faces: int
    failed: int
    status: str
    reason: str
    seconds: float
    sum: NDArray[np.float64]
    vertices: NDArray[np.float64] | None = None
    vectors: NDArray[np.float32] | None = None
    segments: Segments | None = None
    changes: NDArray[np.float64] | None = None


def describe_chunk(
    method: Method,
    row: ChunkRow,
    crops: Crops,
    average: Literal["parameters", "meshes", "errors"] = "parameters",
) -> ChunkRow:
    """Describe a chunk's faces and add up their vectors; an error becomes the row's reason.

    Args:
        method: describes and decodes faces.
        row: of the chunk, as `face_chunks` gives it.
        crops: its faces.
        average: what the protocol averages over frames (`protocol.Reduction`); it decides what the
            row keeps besides the sum of the vectors.
    """
    start = time.perf_counter()
    status, reason = row.status, row.reason
    vertices = None
    good = np.zeros(len(crops), np.bool_)
    vectors = np.empty((len(crops), 0), np.float32)
    try:
        vectors, good = _describe(method, crops)
        if average == "meshes" and good.any():
            vertices, good = _decode(method, vectors, good)
    except Exception as error:
        # A fault of one chunk is that chunk's row: the other frames of the clip still count.
        good[:] = False
        status, reason = FAILED, error_line(error)
    faces = int(good.sum())
    failed = len(good) - faces
    found = None if row.segments is None else row.segments[:, FOUND].astype(np.int64)
    return replace(
        row,
        faces=faces,
        failed=failed,
        status=status,
        reason=reason or (NOT_FINITE if failed else ""),
        seconds=row.seconds + time.perf_counter() - start,
        sum=_sums(vectors, good, found) if faces else _NO_SUM,
        vertices=_sums(vertices, good, found) if faces and vertices is not None else None,
        vectors=vectors[good] if average == "errors" else None,
        segments=_described(row.segments, good),
    )


def _sums(
    values: NDArray[np.floating], good: NDArray[np.bool_], found: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """Sums of the good rows of values (N, D), of each segment by itself, one after the other."""
    counts = np.array([len(good)]) if found is None else found
    ends = np.cumsum(counts)[:-1]
    parts = zip(np.split(values, ends), np.split(good, ends), strict=True)
    # float64: in float32 thousands of frames would lose digits, and differently in each order.
    return np.concatenate([part[kept].sum(axis=0, dtype=np.float64) for part, kept in parts])


def _described(segments: Segments | None, good: NDArray[np.bool_]) -> Segments | None:
    """The segments with how many of their faces were described."""
    if segments is None or not len(segments):
        return segments
    counted = segments.copy()
    ends = np.cumsum(segments[:, FOUND].astype(np.int64))[:-1]
    counted[:, DESCRIBED] = [part.sum() for part in np.split(good, ends)]
    return counted


def _describe(
    method: Method, crops: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The vectors (N, D) of the crops, and which of them are finite.

    Raises:
        FacebenchError: they are none, or not one of each crop.
    """
    if not len(crops):
        return _NO_VECTORS, np.zeros(0, np.bool_)
    found = np.asarray(method.describe(crops))
    # A row less, as of a method that passes over a face, would shift all others to other frames.
    if found.ndim != 2 or len(found) != len(crops) or found.dtype.kind not in "fiu":
        raise FacebenchError(
            f"the method gave {found.dtype} {found.shape} for {len(crops)} faces",
            "describe() gives numbers (B, D), NaN for a face without any",
        )
    with np.errstate(over="ignore"):  # counted as what is not finite
        vectors = found.astype(np.float32)
    # One NaN would make the mean of all frames NaN; it is counted as failed instead.
    return vectors, np.asarray(np.isfinite(vectors).all(axis=1))


def _decode(
    method: Method, vectors: NDArray[np.float32], good: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The vertices (N, 3 V) of the good vectors' own meshes, and which of those are finite."""
    own = [np.asarray(method.mesh(v).vertices, np.float64).ravel() for v in vectors[good]]
    meshes = np.full((len(vectors), own[0].size), np.nan)
    meshes[good] = own
    # A finite vector may decode to a mesh that is not.
    return meshes, np.asarray(np.isfinite(meshes).all(axis=1))


def face_chunks(
    clip: Clip,
    size: int,
    limit: int | None = None,
    done: frozenset[int] = frozenset(),
    detector: str = "embedded",
    tracking: bool = False,
) -> Iterator[tuple[ChunkRow, Crops]]:
    """The chunks of a clip that are not done: a row, and its faces as `size` x `size` crops.

    Never raises: what cannot be read ends the clip with a chunk that says why. Detector and
    tracking are those of `face_locator`.
    """
    # Here: who reads a run decodes no video.
    from ...recon.video.decode import read_chunks

    # A clip that fails before its first chunk must not take the number of one that is done.
    following = max(done, default=-1) + 1
    start = time.perf_counter()
    try:
        locate = face_locator(clip, detector, tracking)
        for chunk in read_chunks(clip.path, clip.id, limit, done):
            # Boxes of a file are in its own pixels, which very large films do not keep.
            own = clip.boxes is None
            place = locate if own else _in_frames(locate, chunk.scale)
            yield cut_faces(chunk, place, size, start, own)
            following = max(following, chunk.index + 1)
            start = time.perf_counter()
    except Exception as error:
        row = ChunkRow(clip.id, following, True, 0, 0, 0, FAILED, error_line(error), 0.0, _NO_SUM)
        yield row, np.empty((0, size, size, 3), np.uint8)


def face_locator(clip: Clip, detector: str = "embedded", tracking: bool = False) -> Locate:
    """Boxes from the file beside the clip where there is one, else those of a detector.

    Args:
        clip: the video.
        detector: as `recon.vision.detect.make_detector` has it.
        tracking: whether a face is followed from frame to frame, and detected where none can be;
            else it is detected in every frame.

    Raises:
        FacebenchError: the file is not a box file, or the detector's weights are not there.
    """
    if clip.boxes is not None:
        # Boxes beside the clip win, so that methods can be compared on the very same crops.
        boxes = read_boxes(fetch(clip.boxes))
        return lambda number, frame, last: boxes.get(number)
    from ...recon.vision.detect import find_next, make_detector

    finder = make_detector(detector)
    return lambda number, frame, last: find_next(finder, frame, last if tracking else None)


def _in_frames(locate: Locate, factor: float) -> Locate:
    """Boxes of a file in frames that were made smaller; none where they lie beyond a frame."""

    def placed(number: int, frame: NDArray[np.uint8], last: Box | None) -> Box | None:
        given = locate(number, frame, last)
        box = None if given is None else given.times(factor)
        return box if box is not None and is_inside(box, frame) else None

    return placed


def cut_faces(
    chunk: Chunk, locate: Locate, size: int, start: float, tracked: bool = False
) -> tuple[ChunkRow, Crops]:
    """Find and cut out the faces of a chunk that was begun at `start` (`time.perf_counter`).

    Args:
        chunk: the frames.
        locate: finds the face of a frame.
        size: side of the crops in px.
        start: when work on the chunk began.
        tracked: whether the faces may be several people's, and cuts end a track.
    """
    crops = np.empty((0, size, size, 3), np.uint8)
    segments = changes = None
    # A cut video stays cut and is kept; a fault of detector or method is tried again.
    status, reason = (BROKEN if chunk.reason else OK), chunk.reason
    try:
        if tracked and len(chunk.frames):
            changes = large_changes(chunk.frames, chunk.first_frame, chunk.before)
        numbers, boxes = _locate(chunk, locate, changes)
        if changes is not None:
            segments = segments_of(numbers, boxes, changes)
        found = zip((chunk.frames[n - chunk.first_frame] for n in numbers), boxes, strict=True)
        cut = [crop_square(frame, box, size) for frame, box in found]
        crops = np.stack(cut) if cut else crops
    except Exception as error:
        status, reason, segments, changes = FAILED, error_line(error), None, None
    row = ChunkRow(
        clip=chunk.clip_id,
        chunk=chunk.index,
        last=chunk.last,
        frames=len(chunk.frames),
        faces=0,
        failed=0,
        status=status,
        reason=reason,
        seconds=time.perf_counter() - start,
        sum=_NO_SUM,
        segments=segments,
        changes=changes,
    )
    return row, crops


def _locate(
    chunk: Chunk, locate: Locate, changes: NDArray[np.float64] | None
) -> tuple[list[int], list[Box]]:
    """Numbers of the frames with a face, and its box."""
    takes = set() if changes is None else set(changes[changes[:, 1] > CUT_GREY, 0])
    found: dict[int, Box] = {}
    last: Box | None = None
    for number, frame in enumerate(chunk.frames, chunk.first_frame):
        last = locate(number, frame, None if number in takes else last)
        if last is not None:
            found[number] = last
    return list(found), list(found.values())
