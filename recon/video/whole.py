"""Whether a film's file is whole, where no header counts its frames."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from ..files.stores import address_of, open_content

_EBML, _SEGMENT, _CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
_GAP = bytes(512)
"""Zeros that no coder writes; a disk's sector."""
_SCAN, _TABLES = b"\xff\xda", b"\xff\xc4"
"""Before the pixels of a JPEG, and before its own tables of codes."""
_USUAL_CODES = bytes.fromhex("0002010303020403050504040000017d")
"""Their lengths in the usual table for brightness, in which nothing is coded as zeros alone; other
tables, of optimised pictures, make zeros of black margins. Source: ITU-T T.81, table K.5."""
GAPLESS = ("mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "h264", "hevc", "vp8", "vp9", "av1")
"""Codecs whose pictures never have such zeros."""
_HEAD = 12
"""Bytes of an element's name and length, at most."""
_USUAL = 0.8
"""Of a film's steps in time: where fewer are alike, its frames last unlike long by intent."""
_LONG = 1.75
"""A step of so many usual ones lacks a frame; film on television has steps of 1 and 1.5."""


def is_cut_matroska(path: Path) -> bool:
    """Whether a Matroska or WebM file ends before its segment does, or within an element of it.

    A live recording does not know its length: of one cut between two frames nobody can tell.
    """
    with open_content(path) as file:
        if file.read(len(_EBML)) != _EBML:
            return False
        length = file.seek(0, io.SEEK_END)
        # One read an element: over the network a film would take minutes.
        deep = not address_of(path)
        at = 0
        while at < length:
            file.seek(at)
            head = file.read(_HEAD)
            element = _element(head)
            if element is None:
                # Within its name or length the file ends; else it is damaged, which decoders tell.
                return len(head) < _HEAD and bool(head.strip(b"\0"))
            name, size, n_bytes = element
            if size is None and name not in (_SEGMENT, _CLUSTER):
                return False
            if size is None or (name == _SEGMENT and at + n_bytes + size <= length):
                if size is not None or not deep:
                    return False
                at += n_bytes
                continue
            at += n_bytes + size
    return at > length


def _element(head: bytes) -> tuple[bytes, int | None, int] | None:
    """Name, length (None: nobody knew) and the number of bytes of both; None for no element.

    The leading zeros of their first bytes say how many bytes they have.
    """
    n_name = 9 - head[0].bit_length()
    if n_name > 4 or len(head) <= n_name:
        return None
    n_size = 9 - head[n_name].bit_length()
    if n_size > 8 or len(head) < n_name + n_size:
        return None
    unknown = (1 << 7 * n_size) - 1
    size = int.from_bytes(head[n_name : n_name + n_size], "big") & unknown
    return head[:n_name], None if size == unknown else size, n_name + n_size


def has_gap(packet: bytes, codec: str) -> bool:
    """Whether zeros stand where a film's packed pictures were never copied.

    What stuffs a stream with zeros (MPEG-2) ends with a start code; a picture's notes may be zeros.
    Of a JPEG with tables of its own nobody can tell.
    """
    if codec == "mjpeg" and _TABLES in packet and _USUAL_CODES not in packet:
        return False
    at = packet.find(_GAP, max(packet.find(_SCAN), 0) if codec == "mjpeg" else 0)
    while at >= 0:
        behind = packet[at:].lstrip(b"\0")
        if behind and behind[0] != 1:
            return True
        at = packet.find(_GAP, len(packet) - len(behind)) if behind else -1
    return False


def count_skipped(times: Sequence[float]) -> int:
    """How many frames a film lacks by the times (N,) of those that it has, in s.

    Steps back are those of films that were put together; 0 where the usual step is not usual.
    """
    steps = [round(b - a, 4) for a, b in pairwise(times) if b > a]
    if not steps:
        return 0
    # Times are rounded to the stream's clock: a third of a millisecond apart are the same.
    usual, _ = Counter(steps).most_common(1)[0]
    alike = sum(abs(step - usual) <= 0.1 * usual for step in steps)
    if alike < _USUAL * len(steps):
        return 0
    return sum(round(step / usual) - 1 for step in steps if step > _LONG * usual)
