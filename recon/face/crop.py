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
from ..files.text import SPREADSHEET, decode_text, read_bytes, table_rows
from ..morphable.landmarks import landmark_points
from ..morphable.model import MorphableModel
from .labels import FIVE_POINTS, MOST_PIXELS, check_pixels, read_points

LANDMARK_SHARE = 0.62
"""Longer side of the frontal mean face's landmark box over the side of the crop."""

MARGIN = 1.0 / LANDMARK_SHARE
"""Side of the crop over the longer side of the landmark box."""

HEADER = "frame,left,top,width,height"
_MOST_BYTES = 2**25
_LEAST_SIDE = 2.0
_LEAST_INSIDE = 0.25
"""Share of a box: a face that a picture's edge cuts has more of it inside, one whose numbers are
those of a larger copy of the picture mostly less."""


def mean_face_pose(model: MorphableModel) -> NDArray[np.float64]:
    """Pose (7,) that puts the frontal mean face in the middle of a crop (`face.imaging`).

    The longer side of its landmarks' box is `LANDMARK_SHARE` of the crop's.
    """
    points = landmark_points(model.mean_shape, model.landmarks, model.name)[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 2.0 * LANDMARK_SHARE / float((high - low).max())
    x, y = -scale * (low + high) / 2.0
    return np.array([0.0, 0.0, 0.0, x, y, 0.0, scale])


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

    @property
    def centre(self) -> tuple[float, float]:
        """x and y."""
        return self.left + self.width / 2, self.top + self.height / 2

    def times(self, factor: float) -> Box:
        """The same box where a picture is so many times as large."""
        return Box(*(factor * value for value in (self.left, self.top, self.width, self.height)))


def box_overlap(a: Box, b: Box) -> float:
    """Area of the intersection of two boxes over that of their union."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    both = max(width, 0.0) * max(height, 0.0)
    return both / max(a.width * a.height + b.width * b.height - both, 1e-12)


def upright_box(box: Box, orientation: int, frame: NDArray[np.uint8]) -> Box:
    """Where a box of a picture's file lies in the upright frame (H, W, 3), by Exif's number."""
    left, top, width, height = box.left, box.top, box.width, box.height
    if orientation in (5, 6, 7, 8):
        left, top, width, height = top, left, height, width
    if orientation in (2, 3, 6, 7):
        left = frame.shape[1] - left - width
    if orientation in (3, 4, 7, 8):
        top = frame.shape[0] - top - height
    return Box(left, top, width, height)


def is_inside(box: Box, frame: NDArray[np.uint8]) -> bool:
    """Whether a box that somebody gave lies in an (H, W, 3) frame, but for what its edge cuts."""
    height, width = frame.shape[:2]
    across = min(box.left + box.width, width) - max(box.left, 0.0)
    down = min(box.top + box.height, height) - max(box.top, 0.0)
    return bool(max(across, 0.0) * max(down, 0.0) >= _LEAST_INSIDE * box.width * box.height)


def check_inside(box: Box, frame: NDArray[np.uint8]) -> Box:
    """The box itself.

    Raises:
        FacebenchError: it does not lie in the frame, see `is_inside`.
    """
    if not is_inside(box, frame):
        height, width = frame.shape[:2]
        raise FacebenchError(
            f"the face that is given, {box.width:.0f} x {box.height:.0f} px at ({box.left:.0f}, "
            f"{box.top:.0f}), lies outside of the picture, {width} x {height} px",
            "give boxes and landmarks in px of this very file",
        )
    return box


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

    def to_crop(self, points: NDArray[np.floating], size: int) -> NDArray[np.float64]:
        """Points (..., 2) of the frame as points of a crop of `size` px: the way back."""
        from_corner = np.asarray(points, np.float64) + 0.5 - [self.left, self.top]
        return np.asarray(from_corner * (size / self.side) - 0.5)


def crop_window(box: Box) -> Window:
    """The square around a box: its centre, and `MARGIN` times its longer side."""
    side = MARGIN * max(box.width, box.height)
    x, y = box.centre
    return Window(x - side / 2, y - side / 2, side)


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
    patch = cut_out(frame, inside)
    shift = (left - inside[0], top - inside[1])
    within = (shift[0], shift[1], shift[0] + side, shift[1] + side)
    return np.asarray(patch.resize((size, size), Image.Resampling.BILINEAR, box=within))


def cut_out(frame: NDArray[np.uint8], sides: tuple[int, int, int, int]) -> Image.Image:
    """The part of an (H, W, 3) frame between left, top, right and bottom; black outside of it."""
    left, top, right, bottom = sides
    x, y = max(left, 0), max(top, 0)
    # Only the part becomes a picture: of a whole large frame the copy costs more than the cut.
    part = frame[y : max(bottom, y), x : max(right, x)]
    if not part.size:
        return Image.new("RGB", (right - left, bottom - top))
    return Image.fromarray(part).crop((left - x, top - y, right - x, bottom - y))


def box_of_points(points: NDArray[np.floating]) -> Box:
    """The landmark box of a face of which 68 or 5 points (N, 2) px are known.

    Integers are pixel centres. Five points are eyes, nose tip and mouth corners, left to right as
    seen; the box is then that of the mean face brought to them by a similarity.

    Raises:
        FacebenchError: for another number of points, points that are not finite, or all in a place.
    """
    if len(points) not in (5, 68) or not np.isfinite(points).all():
        raise FacebenchError(f"{len(points)} landmarks", "expected 68 or 5 points x y")
    known = np.asarray(points, np.float64)
    if len(known) == 5:
        known = _mean_face_at(known)
    box = landmark_box(known)
    if min(box.width, box.height) <= 0:
        raise FacebenchError("all landmarks lie on a line", "expected 68 or 5 points x y")
    return box


def landmark_box(points: NDArray[np.floating]) -> Box:
    """The box of points (N, 2) px, from edge to edge: the centre of pixel 0 is at 0.5."""
    low, high = points.min(axis=0) + 0.5, points.max(axis=0) + 0.5
    return Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))


def read_image_points(path: Path) -> NDArray[np.float64]:
    """The 68 or 5 points (N, 2) of a file beside a photograph, px, integers at pixel centres.

    `.pts` counts pixels from 1, as iBUG does; everything else from 0. See `labels.read_points`.

    Raises:
        FacebenchError: the file cannot be read, or holds another number of points.
    """
    points = read_points(path, axes=2)
    if len(points) not in (5, 68):
        raise FacebenchError(f"{path}: {len(points)} landmarks", "expected 68 or 5 points x y")
    if not np.isfinite(points).all():
        raise FacebenchError(f"{path}: landmarks that are not finite", "leave such a file out")
    check_pixels(points, str(path))
    return points - 1.0 if path.suffix.lower() == ".pts" else points


def _mean_face_at(five: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 68 points of the embedded mean face, seen from the front, over five points (5, 2)."""
    # SciPy's trees take half a second to import, and only this function makes that model.
    from ..morphable.procedural import procedural_model

    model = procedural_model()
    mean = landmark_points(model.mean_shape, model.landmarks, model.name)[:, :2] * [1.0, -1.0]
    own = np.array([(mean[a] + mean[b]) / 2 for a, b in FIVE_POINTS])
    # In the plane a similarity is a complex factor and an offset: least squares in closed form.
    to, start = (values[:, 0] + 1j * values[:, 1] for values in (five, own))
    centred = start - start.mean()
    factor = (np.conj(centred) @ (to - to.mean())) / (np.conj(centred) @ centred)
    moved = (mean[:, 0] + 1j * mean[:, 1] - start.mean()) * factor + to.mean()
    return np.stack([moved.real, moved.imag], axis=1)


def read_boxes(path: Path) -> dict[int, Box]:
    """Face box of each frame named in a CSV file with the columns of `HEADER`.

    Frames count from 0; boxes are in pixels and enclose the 68 landmarks (brows to chin, ear to
    ear). A frame without a line has no face.

    Raises:
        FacebenchError: a line is not five numbers, a box has no area, or a frame has two.
    """
    frames = read_all_boxes(path)
    crowded = next((frame for frame, boxes in frames.items() if len(boxes) > 1), None)
    if crowded is not None:
        raise FacebenchError(
            f"{path}: frame {crowded} has {len(frames[crowded])} different boxes",
            "keep those of one person",
        )
    return {frame: boxes[0] for frame, boxes in frames.items()}


def read_all_boxes(path: Path) -> dict[int, list[Box]]:
    """All face boxes of each frame, in the file's order; a line given twice counts once.

    The columns may be in any order, and separated as spreadsheets do (`text.table_rows`).

    Raises:
        FacebenchError: a line is not five numbers, a box has no area, or all are smaller than two
            pixels: shares of the picture.
    """
    try:
        rows = table_rows(decode_text(read_bytes(path, _MOST_BYTES), SPREADSHEET))
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as face boxes ({error})") from error
    names = [name.lower() for name in rows[0][1]] if rows else []
    # Other columns, such as a detector's score, are passed over.
    if any(names.count(name) != 1 for name in HEADER.split(",")):
        raise FacebenchError(f"{path}: not a face box file", f"its first line must be {HEADER}")
    found: dict[int, list[Box]] = {}
    for number, cells in rows[1:]:
        frame, box = _parse(path, number, names, cells)
        boxes = found.setdefault(frame, [])
        if box not in boxes:
            boxes.append(box)
    sides = [side for boxes in found.values() for box in boxes for side in (box.width, box.height)]
    if sides and max(sides) < _LEAST_SIDE:
        raise FacebenchError(
            f"{path}: no box is larger than {max(sides):g} px: these look like shares of a picture",
            "multiply left and width by its width, top and height by its height",
        )
    return found


def write_boxes(path: Path, boxes: dict[int, Box]) -> None:
    """Write a face box file that `read_boxes` reads."""
    rows = [f"{n},{b.left},{b.top},{b.width},{b.height}" for n, b in sorted(boxes.items())]
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")


def _parse(path: Path, number: int, names: list[str], cells: list[str]) -> tuple[int, Box]:
    row = dict(zip(names, cells, strict=False))
    line = ",".join(cells)
    try:
        if any(cells[len(names) :]):
            raise ValueError("columns")
        words = [row[name] for name in HEADER.split(",")]
        if any("_" in word for word in words):  # to Python 1_000 is a number
            raise ValueError("numbers")
        frame, left, top, width, height = map(float, words)
    except (KeyError, ValueError):
        raise FacebenchError(f"{path}, line {number}: {line!r}", f"expected {HEADER}") from None
    in_a_picture = np.abs([left, top, width, height]).max() <= MOST_PIXELS
    if not (in_a_picture and np.isfinite(frame) and width > 0 and height > 0):
        raise FacebenchError(f"{path}, line {number}: the box {line} has no area in any picture")
    if frame != int(frame) or frame < 0:
        raise FacebenchError(f"{path}, line {number}: no frame {frame:g}", "frames count from 0")
    return int(frame), Box(left, top, width, height)
