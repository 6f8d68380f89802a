"""Video files to chunks of frames, and frames to a video.

What cannot be read becomes a reason, never an exception.
"""

from __future__ import annotations

import math
from collections.abc import Container, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Colorspace
from numpy.typing import NDArray
from PIL import Image

from ...errors import one_line
from ..files.contents import START_BYTES, not_the_file
from ..files.stores import address_of, open_content, open_ranged
from ..files.writing import atomic_write
from .shown import FrameView, deinterlaced
from .whole import GAPLESS, count_skipped, has_gap, is_cut_matroska

MOST_PIXELS = 36_000_000
"""Of a frame: 8192 x 4320, the largest that cameras film."""

_FORMATS = (
    *("mov", "avi", "mpeg", "mpegvideo", "mpegts", "mjpeg", "mpjpeg", "jpeg_pipe", "matroska"),
    "asf",
)
"""By FFmpeg's names. It tells formats by content, and some of those are lists of other files and
addresses, which it would read."""

CHUNK_FRAMES = 32
CHUNK_BYTES = 64 * 2**20
"""A chunk has 32 frames, or as many as fit into 64 MiB of RGB where frames are large."""

_BROADCAST = ("mpegts", "mpeg")
"""Formats without a header, in which frames have equal steps of time."""

USUAL_RATE = Fraction(25)
"""Frames per second of a video that does not tell its own."""

_FASTEST = 240
_BEST, _ALWAYS_THERE = "libx264", "mpeg4"


def open_video(path: Path) -> av.container.InputContainer:
    """A video file for reading; from an object store it is read by ranges.

    Raises:
        FacebenchError: the store cannot be reached.
        OSError, ValueError, av.FFmpegError: it cannot be read as a video.
    """
    if path.exists() and not path.is_file():
        raise ValueError("not a file")
    options = {
        "format_whitelist": ",".join(_FORMATS),
        "protocol_whitelist": "file",
        "max_pixels": str(MOST_PIXELS),
    }
    in_store = bool(address_of(path))
    if in_store or path.is_file():
        with open_content(path) as file:
            start = file.read(START_BYTES)
        if not start:
            raise ValueError("the file is empty")
        if instead := not_the_file(start):
            raise ValueError(f"{instead[0]}: {instead[1]}")
    try:
        # The scheme keeps names such as `concat:a|b` and `http:x` file names.
        place = open_ranged(path) if in_store else f"file:{path}"
        container: av.container.InputContainer = av.open(place, options=options)
    except av.ArgumentError:
        raise ValueError("it is no video of a known format") from None
    for stream in container.streams.video:
        if stream.codec_context is None:
            raise ValueError("its codec is not known")
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return container


def estimate_frames(path: Path) -> int:
    """About how many frames a video has, without reading them; 0 of a file that is no video.

    By its header, else by its length and rate, else by its size over that of its first pictures:
    the Motion JPEG of a network camera tells neither.
    """
    try:
        with open_video(path) as container:
            stream = main_stream(container)
            if stream.frames:
                return int(stream.frames)
            if container.duration and stream.average_rate:
                return int(container.duration / av.time_base * stream.average_rate) + 1
            sizes = [p.size for p in islice(container.demux(stream), CHUNK_FRAMES) if p.size]
            size = container.size
        return math.ceil(size * len(sizes) / sum(sizes)) if sizes else 0
    except (av.FFmpegError, OSError, ValueError, IndexError, OverflowError):
        return 0


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive frames of one clip: the unit of work, of failure and of resumption.

    Attributes:
        clip_id: `subject/scene`.
        index: number of the chunk in the clip, from 0.
        last: whether the clip ends with it.
        frames: (N, H, W, 3) uint8 RGB; N is 0 only where the clip gave no frame at all.
        first_frame: number of the first frame in the clip, from 0, counted by decoding.
        scale: pixels of a frame for one of the file's, below 1 where those are very large.
        before: (H, W, 3) the frame before the first, by which a cut between two chunks is seen;
            None at the beginning of the clip.
        reason: on the last chunk, why the video could not be read to its end; else empty.
        times: seconds from the clip's first frame to each, as the file tells, NaN where it does
            not: telephones film with frames that last unlike long.
    """

    clip_id: str
    index: int
    last: bool
    frames: NDArray[np.uint8]
    first_frame: int
    reason: str
    scale: float = 1.0
    before: NDArray[np.uint8] | None = None
    times: tuple[float, ...] = ()


def read_chunks(
    path: Path, clip_id: str, limit: int | None = None, skip: Container[int] = ()
) -> Iterator[Chunk]:
    """Decode a video into chunks, holding no more than two of them at a time.

    Frames come as a player shows them: upright by the display matrix, with square pixels by the
    sample aspect ratio. Where their size changes a new chunk begins, and none is stretched.

    Args:
        path: the video file.
        clip_id: name handed on with each chunk.
        limit: read this many frames at most; all when None.
        skip: numbers of chunks to pass over without converting their frames.
    """
    video = _Video(path)
    first = 0
    previous: av.VideoFrame | None = None
    with closing(video.frames()) as decoded:
        for index, last, group in _mark_last(_groups(islice(decoded, limit), video)):
            if index not in skip:
                frames, times = video.to_rgb(group)
                reason, scale = video.warning if last else "", video.view(group[0]).scale
                before = None if previous is None else video.picture(previous)
                yield Chunk(clip_id, index, last, frames, first, reason, scale, before, times)
            first += len(group)
            previous = group[-1]
    if not first and 0 not in skip:
        nothing = np.empty((0, 0, 0, 3), np.uint8)
        yield Chunk(clip_id, 0, True, nothing, 0, video.reason or "the video has no frames")


def main_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The film among a file's video streams: no cover picture, the default one, else the largest.

    Raises:
        IndexError: there is none.
    """
    streams = list(container.streams.video)
    films = [item for item in streams if not item.disposition & Disposition.attached_pic]
    usual = [item for item in films if item.disposition & Disposition.default]
    return max(usual or films or streams[:1] or [streams[0]], key=lambda s: s.width * s.height)


class _Video:
    """Decodes a file frame by frame and remembers what went wrong."""

    def __init__(self, path: Path) -> None:
        self.reason = ""
        self._path = path
        self._bad = self._corrupt = self._unconverted = self._hidden = self._decoded = 0
        self._times: list[float] = []
        self._aspect: Fraction | None = None
        self._cut = False
        self._began = 0.0

    @property
    def warning(self) -> str:
        """What went wrong so far; empty for nothing."""
        if self.reason or not self._unconverted:
            return self.reason
        return f"{one_line(self._path.name)}: {self._unconverted} frames cannot be made RGB"

    def frames(self) -> Generator[av.VideoFrame, None, None]:
        read = promised = 0
        try:
            with open_video(self._path) as container:
                self._cut = is_cut_matroska(self._path)
                stream = main_stream(container)
                stream.codec_context.thread_count = 1
                self._aspect = stream.sample_aspect_ratio
                promised = stream.frames
                for frame in deinterlaced(self._decode(container, stream)):
                    if not read:
                        self._began = frame.time or 0.0
                    read += 1
                    yield frame
        except (av.FFmpegError, OSError, ValueError, IndexError, OverflowError) as error:
            self.reason = f"{one_line(self._path.name)} cannot be read: {_plain(error)}"
        # What an edit list leaves out is read and not shown: it is not missing.
        self.reason = self.reason or self._shortfall(read, promised - self._hidden)

    def _decode(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[av.VideoFrame]:
        for packet in container.demux(stream):
            self._hidden += bool(packet.is_discard and packet.size)
            codec = stream.codec_context.name
            if codec in GAPLESS and has_gap(bytes(packet), codec):
                if codec == "mjpeg":  # each is a picture of its own
                    self._bad += 1
                    continue
                self._corrupt += 1
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self._bad += 1
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    self._note(frame, container.format.name)
                    yield frame

    def _note(self, frame: av.VideoFrame, container: str) -> None:
        # Packets are not asked: films that were put together jump in their numbers unharmed.
        self._corrupt += frame.is_corrupt
        self._decoded += 1
        if container == "avi" and frame.pts is not None:
            # Where a frame lasts longer AVI counts empty ones, which are none.
            self._hidden = max(self._hidden, frame.pts + 1 - self._decoded)
        if container in _BROADCAST and frame.time is not None:
            self._times.append(frame.time)

    def view(self, frame: av.VideoFrame) -> FrameView:
        """How a frame is to be shown."""
        return FrameView.of(frame, self._aspect)

    def to_rgb(self, group: list[av.VideoFrame]) -> tuple[NDArray[np.uint8], tuple[float, ...]]:
        """Frames (N, H, W, 3) as they are shown, and their times (N,), see `Chunk`; what cannot be
        converted is left out."""
        pictures = [(self.picture(frame), self._time(frame)) for frame in group]
        images = [picture for picture, _ in pictures if picture is not None]
        times = tuple(time for picture, time in pictures if picture is not None)
        self._unconverted += len(pictures) - len(images)
        return np.stack(images) if images else np.empty((0, 0, 0, 3), np.uint8), times

    def _time(self, frame: av.VideoFrame) -> float:
        return math.nan if frame.time is None else frame.time - self._began

    def picture(self, frame: av.VideoFrame) -> NDArray[np.uint8] | None:
        """A frame (H, W, 3) as it is shown; None where it cannot be converted."""
        try:
            return self.view(frame).apply(frame)
        except (av.FFmpegError, OSError, ValueError):
            return None

    def _shortfall(self, read: int, promised: int) -> str:
        name = one_line(self._path.name)
        if self._bad:
            return f"{name}: {self._bad} damaged packets, {read} frames read"
        if self._cut:
            return f"{name} ends early: it is shorter than its header states, {read} frames read"
        if read < promised:
            return f"{name} ends early: its header tells of {promised} frames, {read} read"
        # A decoder marks what it patched up, and not what refers to that.
        if self._corrupt:
            return f"{name}: frames are damaged, at least {self._corrupt} of {read}"
        lost = count_skipped(self._times)
        said = (
            f"{lost} frames are lost, by the times of the {read} read, if it was not put together"
        )
        return f"{name}: {said}" if lost else ""


def _groups(frames: Iterable[av.VideoFrame], video: _Video) -> Iterator[list[av.VideoFrame]]:
    group: list[av.VideoFrame] = []
    view: FrameView | None = None
    for frame in frames:
        # A change of size or of the way it is held starts a chunk of its own.
        if group and video.view(frame) != view:
            yield group
            group = []
        view = video.view(frame)
        group.append(frame)
        if len(group) >= min(CHUNK_FRAMES, CHUNK_BYTES // (3 * view.width * view.height)):
            yield group
            group = []
    if group:
        yield group


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


def frame_rate(path: Path) -> Fraction:
    """Frames per second on average, as the file states; `USUAL_RATE` where it states none."""
    try:
        with open_video(path) as container:
            rate = main_stream(container).average_rate
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return USUAL_RATE
    return Fraction(rate) if rate and 0 < rate <= _FASTEST else USUAL_RATE


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], rate: Fraction) -> Path:
    """Encode (H, W, 3) RGB frames as MP4, by rename.

    Frames of another size than the first are fitted into it with black beside them.

    A last odd row or column is left out, because the pixel format cannot hold it.
    """
    with atomic_write(path) as draft, av.open(str(draft), "w", format="mp4") as container:
        stream, size = None, None
        for frame in frames:
            stream = stream or _stream(container, frame.shape[:2], rate)
            size = size or frame.shape[:2]
            same = frame if frame.shape[:2] == size else _fit(frame, size)
            even = np.ascontiguousarray(same[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())
    return path


def _stream(
    container: av.container.OutputContainer, size: tuple[int, ...], rate: Fraction
) -> av.VideoStream:
    codec = _BEST if _BEST in av.codecs_available else _ALWAYS_THERE
    stream = container.add_stream(codec, rate=rate)
    stream.height, stream.width = size[0] // 2 * 2, size[1] // 2 * 2
    stream.pix_fmt = "yuv420p"
    # Named, because players take high definition without a name for another matrix than this.
    stream.codec_context.colorspace = Colorspace.SMPTE170M
    if codec == _BEST:
        stream.options = {"crf": "20", "preset": "veryfast"}
    else:
        stream.bit_rate = 4 * stream.height * stream.width
    return stream


def _fit(frame: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """A frame as large as fits into a size (height, width), in the middle of black."""
    height, width = size
    scale = min(height / frame.shape[0], width / frame.shape[1])
    inner = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    picture = Image.new("RGB", (width, height))
    small = Image.fromarray(frame).resize(inner, Image.Resampling.BILINEAR)
    picture.paste(small, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return np.asarray(picture)
