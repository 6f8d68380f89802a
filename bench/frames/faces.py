"""A clip's faces, chunk by chunk: decode, find, cut out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ...errors import error_line
from ...recon.video.decode import Chunk, read_chunks
from ...recon.vision.boxes import read_boxes
from ...recon.vision.crop import Box, crop_square
from ...recon.vision.detect import CascadeDetector
from ..datasets.interface import Clip
from .chunks import BROKEN, FAILED, OK, FaceChunk

Locate = Callable[[int, NDArray[np.uint8]], Box | None]
"""Box of the face in a frame, given the frame's number in its clip and its (H, W, 3) pixels."""


def face_chunks(
    clip: Clip, size: int, limit: int | None = None, done: frozenset[int] = frozenset()
) -> Iterator[FaceChunk]:
    """The faces of a clip as `size` x `size` crops, without the chunks that are done.

    Never raises: what cannot be read ends the clip with a chunk that says why.
    """
    following = max(done, default=-1) + 1
    start = time.perf_counter()
    try:
        locate = face_locator(clip)
        for chunk in read_chunks(clip.path, clip.id, limit, done):
            yield cut_faces(chunk, locate, size, start)
            following = max(following, chunk.index + 1)
            start = time.perf_counter()
    except Exception as error:
        nothing = np.empty((0, size, size, 3), np.uint8)
        yield FaceChunk(clip.id, following, True, 0, nothing, FAILED, error_line(error), 0.0)


def face_locator(clip: Clip) -> Locate:
    """Boxes from the file beside the clip where there is one, else the embedded detector.

    Raises:
        FacebenchError: the file is not a box file.
    """
    if clip.boxes is not None:
        boxes = read_boxes(clip.boxes)
        return lambda number, frame: boxes.get(number)
    detector = CascadeDetector()
    return lambda number, frame: detector.detect(frame)


def cut_faces(chunk: Chunk, locate: Locate, size: int, start: float) -> FaceChunk:
    """Find and cut out the faces of a chunk that was begun at `start` (`time.perf_counter`)."""
    crops = np.empty((0, size, size, 3), np.uint8)
    status, reason = (BROKEN if chunk.reason else OK), chunk.reason
    try:
        crops = _crops(chunk, locate, size)
    except Exception as error:
        status, reason = FAILED, error_line(error)
    seconds = time.perf_counter() - start
    frames = len(chunk.frames)
    return FaceChunk(chunk.clip_id, chunk.index, chunk.last, frames, crops, status, reason, seconds)


def _crops(chunk: Chunk, locate: Locate, size: int) -> NDArray[np.uint8]:
    boxes = [locate(number, frame) for number, frame in enumerate(chunk.frames, chunk.first_frame)]
    found = zip(chunk.frames, boxes, strict=True)
    crops = [crop_square(frame, box, size) for frame, box in found if box is not None]
    return np.stack(crops) if crops else np.empty((0, size, size, 3), np.uint8)
