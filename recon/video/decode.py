"""Video files to chunks of frames; what cannot be read becomes a reason, never an exception."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Container, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from ...errors import one_line
from ..files.contents import START_BYTES, not_the_file
from ..files.stores import address_of, open_content, open_ranged

MOST_PIXELS = 36_000_000
"""Of a frame: 8192 x 4320, the largest that cameras film."""

_FORMATS = ("mov", "avi", "mpeg", "mpegvideo", "mpegts", "mjpeg", "jpeg_pipe", "matroska", "asf")
"""By FFmpeg's names. It tells formats by content, and some of those are lists of other files and
addresses, which it would read."""

LONGEST_SIDE = 4096
"""Frames are decoded to no more: a face that fills an eighth of them has as many pixels as any
network or texture takes."""
CHUNK_FRAMES = 32
CHUNK_BYTES = 64 * 2**20
"""A chunk has 32 frames, or as many as fit into 64 MiB of RGB where frames are large."""

_UNSPECIFIED = 2
"""FFmpeg's number of a colour matrix that a file does not name."""
_PQ, _HLG = 16, 18
"""FFmpeg's numbers of the curves of high dynamic range, in which telephones film."""
_WHITE = 203.0
"""Luminance of paper in such films, cd/m². Source: ITU-R BT.2408."""
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
_FROM_BT2020 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
"""Their primaries as those of sRGB, in light. Source: ITU-R BT.2087."""
_UPRIGHT = (1, 0, 0, 1)

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


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


@dataclass(frozen=True)
class FrameView:
    """How the pixels of a frame become a picture.

    Attributes:
        width, height: to which it is scaled, before it is turned: with square pixels.
        scale: pixels of the picture for one of the file's.
        matrix: a, b, c, d of the display matrix by sign: (p, q) comes to (a p + c q, b p + d q).
    """

    width: int
    height: int
    scale: float
    matrix: tuple[int, int, int, int]

    @classmethod
    def of(cls, frame: av.VideoFrame, aspect: Fraction | None) -> FrameView:
        """By the frame's size, its display matrix and the shape of its pixels (width / height)."""
        width, height = float(frame.width), float(frame.height)
        if aspect and 0.1 < aspect < 10 and aspect != 1:
            # The side that is short of pixels is filled up: none are thrown away.
            width, height = (width * aspect, height) if aspect > 1 else (width, height / aspect)
            width, height = 2 * round(width / 2), 2 * round(height / 2)
        scale = min(1.0, LONGEST_SIDE / max(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return cls(*size, scale, _display_signs(frame))

    def apply(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """The picture (H, W, 3) RGB."""
        # Players take high definition that names no matrix for that of its television.
        is_high = frame.width >= 1280 or frame.height > 576
        untold = is_high and not frame.format.is_rgb and frame.colorspace == _UNSPECIFIED
        is_wide = frame.color_trc in (_PQ, _HLG)
        image = frame.to_ndarray(
            format="rgb48le" if is_wide else "rgb24",
            width=self.width,
            height=self.height,
            src_colorspace=Colorspace.ITU709 if untold else None,
        )
        if is_wide:
            # In strips: of a large frame's light alone there are a hundred megabytes.
            strips = np.array_split(image, math.ceil(image.size / 2**22))
            image = np.concatenate([_to_standard_range(s, int(frame.color_trc)) for s in strips])
        a, b, c, d = self.matrix
        if b and c:
            image = image.transpose(1, 0, 2)[:: b or 1, :: c or 1]
        else:
            image = image[:: d or 1, :: a or 1]
        return np.ascontiguousarray(image)


@cache
def _light_of_codes(curve: int) -> NDArray[np.float32]:
    """Light (4096,) that 12 bits of a curve of high dynamic range stand for; of HLG the scene's.

    Source: ITU-R BT.2100, tables 4 and 5.
    """
    code = np.arange(4096, dtype=np.float32) / 4095
    if curve == _HLG:
        bright = np.exp((code - 0.55991073) / 0.17883277) + 0.28466892
        return np.where(code <= 0.5, code**2 / 3, bright / 12)
    root = code ** (32 / 2523)
    light = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
    return np.asarray(light * 10000 / _WHITE, np.float32)


def _to_standard_range(image: NDArray[np.uint16], curve: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of BT.2100 as sRGB; what is brighter than paper becomes white."""
    light = _light_of_codes(curve)[image >> 4]
    if curve == _HLG:  # as a screen of 1,000 cd/m² shows it
        light = light * (light @ _LUMINANCE)[..., None] ** 0.2 * (1000 / _WHITE)
    light = np.clip(light @ _FROM_BT2020.T, 0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(255 * coded + 0.5, np.uint8)


def _display_signs(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """The display matrix as the nearest of the eight that only turn by right angles and mirror."""
    data = next((item for item in frame.side_data if item.type.name == "DISPLAYMATRIX"), None)
    if data is None:
        return _UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1, 0, 0, -1 if d < 0 else 1)
    return (0, -1 if b < 0 else 1, -1 if c < 0 else 1, 0)


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
        self._bad = self._corrupt = self._unconverted = self._hidden = 0
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
                self._cut = _is_cut_matroska(self._path)
                stream = main_stream(container)
                stream.codec_context.thread_count = 1
                self._aspect = stream.sample_aspect_ratio
                promised = stream.frames
                for frame in self._decode(container, stream):
                    if not read:
                        self._began = frame.time or 0.0
                    read += 1
                    if container.format.name == "avi" and frame.pts is not None:
                        # Where a frame lasts longer AVI counts empty ones, which are none.
                        self._hidden = max(self._hidden, frame.pts + 1 - read)
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
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self._bad += 1
                continue
            pictures = [frame for frame in frames if isinstance(frame, av.VideoFrame)]
            # Packets are not asked: films that were put together jump in their numbers unharmed.
            self._corrupt += sum(frame.is_corrupt for frame in pictures)
            yield from pictures

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
        patched = f"{name}: frames are damaged, at least {self._corrupt} of {read}"
        return patched if self._corrupt else ""


def _is_cut_matroska(path: Path) -> bool:
    """Whether a Matroska file is shorter than its segment, whose frames no header counts."""
    with open_content(path) as file:
        start = file.read(4096)
        length = file.seek(0, os.SEEK_END)
    at = start.find(_SEGMENT) + len(_SEGMENT)
    if not start.startswith(_EBML) or at < len(_SEGMENT) or at + 8 > len(start):
        return False
    # The leading zeros of its first byte say how many bytes a length has; all ones: nobody knew.
    n_bytes = 9 - start[at].bit_length()
    unknown = (1 << 7 * n_bytes) - 1
    size = int.from_bytes(start[at : at + n_bytes], "big") & unknown
    return size != unknown and at + n_bytes + size > length


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
