"""From a face's bounding box to the square crop that networks take, and box files.

One framing for crops, synthetic faces and the regressor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import FacebenchError
from ..files.text import read_text
from ..morphable.landmarks import landmark_points
from ..morphable.model import MorphableModel

LANDMARK_SHARE = 0.62
"""Longer side of the frontal mean face's landmark box over the side of the crop."""


@dataclass(frozen=True)
class Framing:
    """Pose that puts the frontal mean face in the middle of a crop.

    Attributes:
        scale: f, normalised image units per mm.
        offset_x, offset_y: t_x, t_y in normalised image units.
    """

    scale: float
    offset_x: float
    offset_y: float


def frame_mean_face(model: MorphableModel) -> Framing:
    """Centre the landmark box of the mean face, its longer side `LANDMARK_SHARE` of the crop."""
    points = landmark_points(model.mean_shape, model.landmarks, model.name)[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 2.0 * LANDMARK_SHARE / float((high - low).max())
    centre = (low + high) / 2.0
    return Framing(scale, float(-scale * centre[0]), float(-scale * centre[1]))


MARGIN = 1.0 / LANDMARK_SHARE
"""Side of the crop over the longer side of the landmark box."""


@dataclass(frozen=True)
class Box:
    """The axis-aligned box of the 68 landmarks in pixels of the frame: left, top, width, height.

    It reaches from the brows to the chin and from ear to ear; detectors whose own boxes differ
    convert them to this.
    """

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Window:
    """The square of a frame that becomes a crop: left and top edge and side, in pixels."""

    left: float
    top: float
    side: float

    def to_frame(self, points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Points (..., 2) of a crop of `size` px as points of the frame; integers are centres."""
        corner = np.array([self.left, self.top], dtype=np.float32)
        return (points + 0.5) * np.float32(self.side / size) + corner - np.float32(0.5)


def crop_window(box: Box) -> Window:
    """The square around a box: its centre, and `MARGIN` times its longer side."""
    side = MARGIN * max(box.width, box.height)
    left = box.left + box.width / 2 - side / 2
    top = box.top + box.height / 2 - side / 2
    return Window(left, top, side)


def crop_square(frame: NDArray[np.uint8], box: Box, size: int) -> NDArray[np.uint8]:
    """Cut a `size` x `size` RGB crop around a box from an (H, W, 3) frame.

    The crop shares the box's centre and is `MARGIN` times its longer side; outside the frame it is
    black. Resampling is bilinear with area weighting when it shrinks.
    """
    window = crop_window(box)
    left, top, side = window.left, window.top, window.side
    inside = (
        int(np.floor(left)),
        int(np.floor(top)),
        int(np.ceil(left + side)),
        int(np.ceil(top + side)),
    )
    patch = Image.fromarray(frame).crop(inside)
    shift = (left - inside[0], top - inside[1])
    within = (shift[0], shift[1], shift[0] + side, shift[1] + side)
    return np.asarray(patch.resize((size, size), Image.Resampling.BILINEAR, box=within))


HEADER = "frame,left,top,width,height"


def read_boxes(path: Path) -> dict[int, Box]:
    """Face box of each frame named in a CSV file with the columns of `HEADER`.

    Frames count from 0; boxes are in pixels and enclose the 68 landmarks (brows to chin, ear to
    ear). A frame without a line has no face.

    Raises:
        FacebenchError: a line is not five numbers, or a box has no area.
    """
    try:
        lines = read_text(path).split()
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
