"""What becomes of a chunk of frames: faces cut out, described and summed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .method import Method

OK = "ok"
BROKEN = "broken"
FAILED = "failed"

NOT_FINITE = "the method gave values that are not finite for some faces"


@dataclass(frozen=True, eq=False)
class FaceChunk:
    """The faces of one chunk of one clip, cut out and not yet described.

    Attributes:
        clip, chunk, last, frames: as in `ChunkRow`.
        crops: (N, S, S, 3) uint8 RGB, one a face found, in the order of the frames.
        status, reason: as in `ChunkRow`.
        seconds: time spent so far.
    """

    clip: str
    chunk: int
    last: bool
    frames: int
    crops: NDArray[np.uint8]
    status: str
    reason: str
    seconds: float


@dataclass(frozen=True, eq=False)
class ChunkRow:
    """What became of one chunk of one clip.

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
        sum: (D,) float64, the sum of the faces' vectors; empty when there is no face.
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


def describe_chunk(method: Method, chunk: FaceChunk) -> ChunkRow:
    """Describe a chunk's faces and add up their vectors; an error becomes the row's reason."""
    start = time.perf_counter()
    status, reason = chunk.status, chunk.reason
    try:
        vectors = method.describe(chunk.crops) if len(chunk.crops) else np.empty((0, 0), np.float32)
    except Exception as error:
        vectors = np.empty((0, 0), np.float32)
        status, reason = FAILED, plain_reason(error)
    good = vectors[np.isfinite(vectors).all(axis=1)].astype(np.float64)
    failed = len(chunk.crops) - len(good)
    return ChunkRow(
        clip=chunk.clip,
        chunk=chunk.chunk,
        last=chunk.last,
        frames=chunk.frames,
        faces=len(good),
        failed=failed,
        status=status,
        reason=reason or (NOT_FINITE if failed else ""),
        seconds=chunk.seconds + time.perf_counter() - start,
        sum=good.sum(axis=0) if len(good) else np.empty(0),
    )


def plain_reason(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
