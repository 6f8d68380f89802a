"""Video files opened as nothing but videos: no playlists, no other files, no network."""

from __future__ import annotations

from pathlib import Path

import av

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
