"""Video files to chunks of frames; what cannot be read becomes a reason, never an exception."""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ...errors import one_line

MOST_PIXELS = 36_000_000
"""Of a frame: 8192 x 4320, the largest that cameras film."""

_FORMATS = ("mov", "avi", "mpeg", "mpegvideo", "mpegts", "mjpeg", "jpeg_pipe", "matroska", "asf")
"""By FFmpeg's names. It tells formats by content, and some of those are lists of other files and
addresses, which it would read."""


def open_video(path: Path) -> av.container.InputContainer:
    """A video file for reading.

    Raises:
        OSError, ValueError, av.FFmpegError: it cannot be read as a video.
    """
    if path.exists() and not path.is_file():
        raise ValueError("not a file")
    options = {
        "format_whitelist": ",".join(_FORMATS),
        "protocol_whitelist": "file",
        "max_pixels": str(MOST_PIXELS),
    }
    try:
        # The scheme keeps names such as `concat:a|b` and `http:x` file names.
        container: av.container.InputContainer = av.open(f"file:{path}", options=options)
    except av.ArgumentError:
        raise ValueError("it is no video of a known format") from None
    for stream in container.streams.video:
        if stream.codec_context is None:
            raise ValueError("its codec is not known")
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return container


CHUNK_FRAMES = 32
CHUNK_BYTES = 64 * 2**20
"""A chunk has 32 frames, or as many as fit into 64 MiB of RGB where frames are large."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive frames of one clip: the unit of work, of failure and of resumption.

    Attributes:
        clip_id: `subject/scene`.
        index: number of the chunk in the clip, from 0.
        last: whether the clip ends with it.
        frames: (N, H, W, 3) uint8 RGB; N is 0 only where the clip gave no frame at all.
        first_frame: number of the first frame in the clip, from 0, counted by decoding.
        reason: on the last chunk, why the video could not be read to its end; else empty.
    """

    clip_id: str
    index: int
    last: bool
    frames: NDArray[np.uint8]
    first_frame: int
    reason: str


def read_chunks(
    path: Path, clip_id: str, limit: int | None = None, skip: Container[int] = ()
) -> Iterator[Chunk]:
    """Decode a video into chunks, holding no more than two of them at a time.

    Args:
        path: the video file.
        clip_id: name handed on with each chunk.
        limit: read this many frames at most; all when None.
        skip: numbers of chunks to pass over without converting their frames.
    """
    video = _Video(path)
    first = 0
    with closing(video.frames()) as decoded:
        for index, last, group in _mark_last(_groups(islice(decoded, limit))):
            if index not in skip:
                frames = video.to_rgb(group)
                yield Chunk(clip_id, index, last, frames, first, video.told if last else "")
            first += len(group)
    if not first and 0 not in skip:
        nothing = np.empty((0, 0, 0, 3), np.uint8)
        yield Chunk(clip_id, 0, True, nothing, 0, video.reason or "the video has no frames")


class _Video:
    """Decodes a file frame by frame and remembers what went wrong."""

    def __init__(self, path: Path) -> None:
        self.reason = ""
        self._path = path
        self._bad = self._unconverted = 0

    @property
    def told(self) -> str:
        """What went wrong so far; empty for nothing."""
        if self.reason or not self._unconverted:
            return self.reason
        return f"{one_line(self._path.name)}: {self._unconverted} frames cannot be made RGB"

    def frames(self) -> Generator[av.VideoFrame, None, None]:
        read = promised = 0
        try:
            with open_video(self._path) as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count = 1
                promised = stream.frames
                for frame in self._decode(container, stream):
                    read += 1
                    yield frame
        except (av.FFmpegError, OSError, ValueError, IndexError, OverflowError) as error:
            self.reason = f"{one_line(self._path.name)} cannot be read: {_plain(error)}"
        self.reason = self.reason or self._shortfall(read, promised)

    def _decode(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[av.VideoFrame]:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self._bad += 1
                continue
            yield from (frame for frame in frames if isinstance(frame, av.VideoFrame))

    def to_rgb(self, group: list[av.VideoFrame]) -> NDArray[np.uint8]:
        """Frames (N, H, W, 3) of the size of the first; what cannot be converted is left out."""
        width, height = group[0].width, group[0].height
        images = []
        for frame in group:
            try:
                images.append(frame.to_ndarray(format="rgb24", width=width, height=height))
            except (av.FFmpegError, OSError, ValueError):
                self._unconverted += 1
        return np.stack(images) if images else np.empty((0, 0, 0, 3), np.uint8)

    def _shortfall(self, read: int, promised: int) -> str:
        name = one_line(self._path.name)
        if self._bad:
            return f"{name}: {self._bad} damaged packets, {read} frames read"
        if read < promised:
            return f"{name} ends early: its header tells of {promised} frames, {read} read"
        return ""


def _groups(frames: Iterable[av.VideoFrame]) -> Iterator[list[av.VideoFrame]]:
    group: list[av.VideoFrame] = []
    for frame in frames:
        group.append(frame)
        if len(group) == _chunk_length(group[0]):
            yield group
            group = []
    if group:
        yield group


def _chunk_length(frame: av.VideoFrame) -> int:
    frame_bytes = 3 * int(frame.width) * int(frame.height)
    return max(1, min(CHUNK_FRAMES, CHUNK_BYTES // frame_bytes))


def _mark_last(
    groups: Iterable[list[av.VideoFrame]],
) -> Iterator[tuple[int, bool, list[av.VideoFrame]]]:
    index, held = 0, None
    for group in groups:
        if held is not None:
            yield index, False, held
            index += 1
        held = group
    if held is not None:
        yield index, True, held


def _plain(error: Exception) -> str:
    if isinstance(error, IndexError):
        return "it has no video stream"
    return one_line(str(getattr(error, "strerror", None) or error))
