"""Face boxes that come with a video, in a text file beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import FacebenchError
from ..files.text import text_of
from .crop import Box

HEADER = "frame,left,top,width,height"


def read_boxes(path: Path) -> dict[int, Box]:
    """Face box of each frame named in a CSV file with the columns of `HEADER`.

    Frames count from 0; boxes are in pixels and enclose the 68 landmarks (brows to chin, ear to
    ear). A frame without a line has no face.

    Raises:
        FacebenchError: a line is not five numbers, or a box has no area.
    """
    try:
        lines = text_of(path).split()
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as face boxes ({error})") from error
    if not lines or lines[0] != HEADER:
        raise FacebenchError(f"{path}: not a face box file", f"its first line must be {HEADER}")
    return dict(_parse(path, number, line) for number, line in enumerate(lines[1:], start=2))


def write_boxes(path: Path, boxes: dict[int, Box]) -> None:
    """Write a face box file that `read_boxes` reads."""
    rows = [f"{n},{b.left},{b.top},{b.width},{b.height}" for n, b in sorted(boxes.items())]
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")


def _parse(path: Path, number: int, line: str) -> tuple[int, Box]:
    try:
        frame, left, top, width, height = (float(text) for text in line.split(","))
    except ValueError:
        raise FacebenchError(f"{path}, line {number}: {line!r}", f"expected {HEADER}") from None
    if not (np.isfinite([frame, left, top, width, height]).all() and width > 0 and height > 0):
        raise FacebenchError(f"{path}, line {number}: the box {line} has no area")
    return int(frame), Box(left, top, width, height)
