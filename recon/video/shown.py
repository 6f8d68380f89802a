"""Decoded frames as a player shows them: upright, in square pixels, of one moment each."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from ..files.colours import HLG, PQ, change_of_primaries, from_high_dynamic_range

LONGEST_SIDE = 4096
"""Frames are decoded to no more: a face that fills an eighth of them has as many pixels as any
network or texture takes."""
_UNSPECIFIED = 2
"""FFmpeg's number of a colour matrix that a file does not name."""
_UPRIGHT = (1, 0, 0, 1)


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
        is_wide = frame.color_trc in (PQ, HLG)
        image = frame.to_ndarray(
            format="rgb48le" if is_wide else "rgb24",
            width=self.width,
            height=self.height,
            src_colorspace=Colorspace.ITU709 if untold else None,
        )
        if is_wide:
            image = from_high_dynamic_range(image, int(frame.color_trc))
        elif (change := change_of_primaries(int(frame.color_primaries))) is not None:
            image = change(image)
        a, b, c, d = self.matrix
        if b and c:
            image = image.transpose(1, 0, 2)[:: b or 1, :: c or 1]
        else:
            image = image[:: d or 1, :: a or 1]
        return np.ascontiguousarray(image)


def _display_signs(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """The display matrix as the nearest of the eight that only turn by right angles and mirror."""
    data = next((item for item in frame.side_data if item.type.name == "DISPLAYMATRIX"), None)
    if data is None:
        return _UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1, 0, 0, -1 if d < 0 else 1)
    return (0, -1 if b < 0 else 1, -1 if c < 0 else 1, 0)


def deinterlaced(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """The frames, those of two half pictures taken one after the other made one, as players do."""
    graph: av.filter.Graph | None = None
    kind = None
    for frame in frames:
        if graph is not None and kind != (frame.width, frame.height, frame.format.name):
            yield from _flush_frames(graph)
            graph = None
        if graph is None and frame.interlaced_frame:
            kind = frame.width, frame.height, frame.format.name
            graph = _deinterlacer(frame)
        if graph is None:
            yield frame
        else:
            # From the first on all, in their order: the graph leaves alone what is not interlaced.
            graph.push(frame)
            yield from _pull_frames(graph)
    if graph is not None:
        yield from _flush_frames(graph)


def _deinterlacer(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    graph.link_nodes(
        source, graph.add("bwdif", "send_frame:auto:interlaced"), graph.add("buffersink")
    )
    graph.configure()
    return graph


def _pull_frames(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    # It gives a frame when it has seen the next one.
    with suppress(av.BlockingIOError, av.EOFError):
        while True:
            yield graph.vpull()


def _flush_frames(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    graph.vpush(None)
    yield from _pull_frames(graph)
