"""What becomes of a chunk of frames: faces cut out, described and summed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import error_line
from ..method.interface import Method

OK = "ok"
BROKEN = "broken"
FAILED = "failed"

NOT_FINITE = "the method gave values that are not finite for some faces"

_NO_VECTORS = np.empty((0, 0), np.float32)


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
        vertices: (3 V,) float64, the sum of the vertices of the faces' own meshes, where meshes are
            averaged; else None.
        vectors: (N, D) float32, each face's own, where errors are averaged; else None.
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


def describe_chunk(
    method: Method,
    chunk: FaceChunk,
    average: Literal["parameters", "meshes", "errors"] = "parameters",
) -> ChunkRow:
    """Describe a chunk's faces and add up their vectors; an error becomes the row's reason.

    Args:
        method: describes and decodes faces.
        chunk: the faces.
        average: what the protocol averages over frames (`protocol.Reduction`); it decides what the
            row keeps besides the sum of the vectors.
    """
    start = time.perf_counter()
    status, reason = chunk.status, chunk.reason
    vertices = None
    try:
        vectors = _describe(method, chunk.crops)
        if average == "meshes" and len(vectors):
            vectors, vertices = _decode(method, vectors)
    except Exception as error:
        vectors = _NO_VECTORS
        status, reason = FAILED, error_line(error)
    failed = len(chunk.crops) - len(vectors)
    return ChunkRow(
        clip=chunk.clip,
        chunk=chunk.chunk,
        last=chunk.last,
        frames=chunk.frames,
        faces=len(vectors),
        failed=failed,
        status=status,
        reason=reason or (NOT_FINITE if failed else ""),
        seconds=chunk.seconds + time.perf_counter() - start,
        sum=vectors.sum(axis=0, dtype=np.float64) if len(vectors) else np.empty(0),
        vertices=vertices,
        vectors=vectors if average == "errors" else None,
    )


def _describe(method: Method, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The vectors (N, D) of the crops whose vector is finite."""
    if not len(crops):
        return _NO_VECTORS
    vectors = method.describe(crops)
    return np.asarray(vectors[np.isfinite(vectors).all(axis=1)], np.float32)


def _decode(
    method: Method, vectors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The vectors whose mesh is finite, and the sum (3 V,) of those meshes' vertices."""
    meshes = np.stack([np.asarray(method.mesh(v).vertices, np.float64).ravel() for v in vectors])
    good = np.isfinite(meshes).all(axis=1)
    return vectors[good], meshes[good].sum(axis=0)
