"""Reads a video's frame rate, and encodes frames that are made one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray
from PIL import Image

from ..files.writing import atomic_write
from .decode import main_stream, open_video

USUAL_RATE = Fraction(25)
"""Frames per second of a video that does not tell its own."""

_FASTEST = 240
_BEST, _ALWAYS_THERE = "libx264", "mpeg4"


def frame_rate(path: Path) -> Fraction:
    """Frames per second on average, as the file tells; `USUAL_RATE` where it tells none."""
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
