"""Where the face is in a frame: the embedded cascade, which needs no download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

from ..face.crop import Box, box_overlap, cut_out

Pixels = NDArray[np.uint8]

SEARCH_SIDE = 320
"""Frames are searched with their longer side shrunk to this many pixels."""

PANORAMA, LONGEST_PANORAMA = 2.5, 6.0
"""Longer side over the shorter from which a picture is shrunk by its shorter side, to that of one
of 16:9; and how many times as long as others it is then at most."""

FACE_RANGES = ((0.2, 1.0, 4), (0.08, 0.25, 14))
"""Smallest and largest side of the cascade's window over the frame's shorter side, and how many
windows of the second look must overlap. Small faces are looked for where no large one is; small
windows are many, and so are the false ones among them."""

CONFIRM_SIDE = 60
CONFIRM_WINDOW = 1.8
"""A candidate is looked at again, 60 px wide in a picture 1.8 times as wide."""

TILTS = (20.0, -20.0)
"""Degrees by which the picture is turned for faces that are tilted: the cascade knows upright ones,
and loses them from about 15 degrees on."""

FOLLOW_WINDOW, FOLLOW_AGREEING, FOLLOW_MOVED = 1.6, 6, 0.06
"""A face is followed with a fifth of a second look's windows: in a picture 1.6 times as wide, of
which 6 windows must overlap, or it is detected anew (with 4, faces were found in which detection
finds none). Where the face has moved by more than 0.06 of its window it is looked at once more
there: the picture's edge cuts off the large windows, and the box would come too small.
`docs/scale.md` shows how near the boxes come to those of detection. Whoever changes them raises
`clip_faces.FOLLOWING`."""

MET = 0.2
"""Overlap of a box that somebody gave and a detector's from which both are of one face."""

LANDMARKS_PER_WINDOW = 0.78
LANDMARKS_BELOW_CENTRE = 0.168
"""Longer side of the landmark box, and how far its centre is below that of the cascade's window,
over the window's side. Measured on 96 rendered faces with yaw up to 20 degrees, mean ± standard
deviation: embedded model 0.776 ± 0.054 and 0.169 ± 0.038, ICT-FaceKit 0.761 ± 0.148 and
0.168 ± 0.070; sideways -0.014 ± 0.057 and -0.004 ± 0.064."""


ELSEWHERE = (
    "its labels lie where no face was found, and one was found elsewhere: are they of this "
    "picture, as it is shown?"
)
"""What is said of a picture where `are_elsewhere` holds."""


class FaceDetector(Protocol):
    """Finds the face in a frame."""

    def detect(self, frame: Pixels) -> Box | None:
        """Box of the landmarks of the one face in an (H, W, 3) RGB frame, or None without one."""
        ...


class ManyFacesDetector(FaceDetector, Protocol):
    """Finds all faces in a frame."""

    def detect_all(self, frame: Pixels) -> list[Box]:
        """Boxes of the landmarks of every face in an (H, W, 3) RGB frame, the one first that
        `detect` gives, then the larger before the smaller."""
        ...


@runtime_checkable
class FollowsFaces(Protocol):
    """Finds a face again in the next frame, for less than detection costs."""

    def follow(self, frame: Pixels, last: Box) -> Box | None:
        """Box of the landmarks of the face that was at `last` in the frame before, or None."""
        ...


def find_next(detector: FaceDetector, frame: Pixels, last: Box | None) -> Box | None:
    """The face of the frame before where it can be followed, else what detection finds.

    Args:
        detector: one that does not follow faces detects them in every frame.
        frame: (H, W, 3) RGB.
        last: the face in the frame before; None at the beginning of a take or after no face.
    """
    if last is not None and isinstance(detector, FollowsFaces):
        followed = detector.follow(frame, last)
        if followed is not None:
            return followed
    return detector.detect(frame)


class CascadeDetector:
    """Local binary patterns in a cascade (scikit-image's, frontal faces), in two looks.

    A coarse search of the whole frame gives candidates; a fine one around each confirms it and
    halves the scatter of its place and size. Every frame is looked at on its own, so the result
    depends on nothing but the frame.

    Args:
        tilted: `detect_all` also looks for tilted faces, in the frame turned by `TILTS`; it takes
            nearly three times as long.
    """

    def __init__(self, tilted: bool = False) -> None:
        self._cascade = Cascade(lbp_frontal_face_cascade_filename())
        self._tilts = TILTS if tilted else ()

    def detect(self, frame: Pixels) -> Box | None:
        """Box of the landmarks of the largest, most central face, or None without one."""
        image, scale = shrink(frame, SEARCH_SIDE)
        for smallest, largest, agreeing in FACE_RANGES:
            candidates = self._search(image, smallest, largest)
            for candidate in candidates:
                # The most prominent first: a look costs as much as the search of a small frame.
                confirmed = self._confirm(image, candidate, agreeing)
                if confirmed is not None:
                    return _landmark_box(confirmed, scale)
        return None

    def detect_all(self, frame: Pixels) -> list[Box]:
        """Boxes of the landmarks of every face, the one first that `detect` gives if it finds any.

        Small faces are looked for beside large ones, too; of windows on one face the first that
        was confirmed is kept.
        """
        image, scale = shrink(frame, SEARCH_SIDE)
        boxes = [_landmark_box(window, scale) for window in self._upright_windows(image)]
        for degrees in self._tilts:
            found = (box.times(scale) for box in self._tilted_boxes(image, degrees))
            boxes += [box for box in found if not any(_on_one_face(box, one) for one in boxes)]
        return [*boxes[:1], *sorted(boxes[1:], key=lambda box: box.width, reverse=True)]

    def _upright_windows(self, image: Pixels) -> list[Box]:
        """The cascade's confirmed windows, one per face."""
        faces: list[Box] = []
        for smallest, largest, agreeing in FACE_RANGES:
            for candidate in self._search(image, smallest, largest):
                # Before the second look, which is the dear one.
                if any(_on_one_face(candidate, face) for face in faces):
                    continue
                confirmed = self._confirm(image, candidate, agreeing)
                if confirmed and not any(_on_one_face(confirmed, face) for face in faces):
                    faces.append(confirmed)
        return faces

    def _tilted_boxes(self, image: Pixels, degrees: float) -> list[Box]:
        """Landmark boxes of the faces that are upright once the picture is turned anticlockwise."""
        turned = Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR, expand=True)
        pixels = np.asarray(turned)
        # As many windows must agree as for small faces: a turned picture is a second chance for
        # everything that is no face, too.
        agreeing = max(least for _, _, least in FACE_RANGES)
        smallest = min(low for low, _, _ in FACE_RANGES)
        largest = max(high for _, high, _ in FACE_RANGES)
        found = []
        for candidate in self._search(pixels, smallest, largest):
            window = self._confirm(pixels, candidate, agreeing)
            if window is not None:
                box = _landmark_box(window, 1.0)
                found.append(_turned_back(box, degrees, pixels.shape, image.shape))
        return found

    def _search(self, image: Pixels, smallest: float, largest: float) -> list[Box]:
        short = min(image.shape[:2])
        # 24 px is the side that the cascade was trained on: it knows no smaller window.
        sides = (max(24, round(smallest * short)), round(largest * short))
        if sides[0] > sides[1]:
            return []
        # Coarse, and content with two windows: the second look sets place and size.
        windows = self._windows(image, sides, scale_factor=1.1, step_ratio=1.5, agreeing=2)
        return sorted(windows, key=lambda window: prominence(window, image.shape), reverse=True)

    def follow(self, frame: Pixels, last: Box) -> Box | None:
        """Box of the landmarks of the face that was at `last` in the frame before, or None."""
        window = _cascade_window(last)
        # In the pixels that detection has: with more of them small faces come out smaller.
        scale = _shrinking(frame, SEARCH_SIDE)
        for _ in range(2):
            found = self._best_window_near(
                frame, window, FOLLOW_WINDOW, 1.1, 1.25, FOLLOW_AGREEING, scale
            )
            if found is None:
                return None
            (x, y), (to_x, to_y) = window.centre, found.centre
            most = max(abs(to_x - x), abs(to_y - y), abs(found.width - window.width))
            near, window = most < FOLLOW_MOVED * window.width, found
            if near:
                break
        return _landmark_box(window, 1.0)

    def _confirm(self, image: Pixels, candidate: Box, agreeing: int) -> Box | None:
        return self._best_window_near(image, candidate, CONFIRM_WINDOW, 1.05, 1.0, agreeing)

    def _best_window_near(
        self,
        image: Pixels,
        candidate: Box,
        margin: float,
        scale_factor: float,
        step_ratio: float,
        agreeing: int,
        scale: float = 1.0,
    ) -> Box | None:
        """The most prominent window near a candidate, in a square `margin` times as wide.

        The square is shrunk by `scale` first.
        """
        half, (x, y) = candidate.width * margin / 2, candidate.centre
        left, top = round(x - half), round(y - half)
        side, pixels = round(2 * half), round(CONFIRM_SIDE * margin)
        if (times := int(scale)) > 1:
            # At 1280 px Pillow takes longer to cut and to resample than the cascade to look.
            side = times * max(1, round(side / times))
            around = averaged(image, (left, top), side, times)
        else:
            around = cut_out(image, (left, top, left + side, top + side))
        if scale > 1.0:
            few = max(1, round(side / scale))
            around = around.resize((few, few), Image.Resampling.BILINEAR, reducing_gap=2.0)
        small = np.asarray(around.resize((pixels, pixels), Image.Resampling.BILINEAR))
        # Around the candidate's own size, which the coarse steps may have missed by a third.
        sides = (round(0.75 * CONFIRM_SIDE), round(1.35 * CONFIRM_SIDE))
        found = self._windows(small, sides, scale_factor, step_ratio, agreeing)
        if not found:
            return None
        best = max(found, key=lambda window: prominence(window, small.shape))
        # Back into the frame's pixels, from those of the enlarged cut.
        k = side / pixels
        return Box(left + best.left * k, top + best.top * k, best.width * k, best.height * k)

    def _windows(
        self,
        image: Pixels,
        sides: tuple[int, int],
        scale_factor: float,
        step_ratio: float,
        agreeing: int,
    ) -> list[Box]:
        smallest, largest = sides
        found = self._cascade.detect_multi_scale(
            image,
            scale_factor=scale_factor,
            step_ratio=step_ratio,
            min_size=(smallest, smallest),
            max_size=(largest, largest),
            min_neighbor_number=agreeing,
        )
        return [Box(w["c"], w["r"], w["width"], w["height"]) for w in found]


def shrink(frame: Pixels, side: int) -> tuple[Pixels, float]:
    """A frame with its longer side at most so many px, and the px of the frame for one of it.

    Of a panorama or a long screenshot the shorter side counts: faces would be a few px wide.
    """
    height, width = frame.shape[:2]
    scale = _shrinking(frame, side)
    if scale == 1.0:
        return frame, 1.0
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    small = Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(small), width / size[0]


def averaged(frame: Pixels, corner: tuple[int, int], side: int, times: int) -> Image.Image:
    """A square of an (H, W, 3) frame, each `times` x `times` px of it averaged to one.

    Args:
        frame: outside of it the square is black.
        corner: left and top of the square, px.
        side: of the square, px, a multiple of `times`.
        times: at most 257, for the sums are of 16 bits.
    """
    left, top = corner
    x, y = max(left, 0), max(top, 0)
    part = frame[y : max(top + side, y), x : max(left + side, x)]
    if part.shape[:2] != (side, side):
        inside, part = part, np.zeros((side, side, 3), np.uint8)
        part[y - top :, x - left :][: len(inside), : inside.shape[1]] = inside
    # Rows by NumPy, which adds whole ones; Pillow then has fewer to unpack.
    rows = part.reshape(side // times, times, side, 3).sum(1, dtype=np.uint16)
    return Image.fromarray((rows // times).astype(np.uint8)).reduce((times, 1))


def _shrinking(frame: Pixels, side: int) -> float:
    """By how much `shrink` makes a frame smaller."""
    shorter, longer = sorted(frame.shape[:2])
    scale: float = longer / side
    if longer > PANORAMA * shorter:
        scale = max(min(scale, shorter / (side * 9 / 16)), longer / (LONGEST_PANORAMA * side))
    # Never enlarged: a detector finds nothing more in invented pixels.
    return max(1.0, scale)


def are_elsewhere(boxes: Sequence[Box], frame: Pixels, detector: ManyFacesDetector) -> bool:
    """Whether none of some boxes that somebody gave is where a detector finds a face.

    As those of another picture, or of this one before it was turned upright. Where it finds none at
    all, nobody knows.
    """
    found = detector.detect_all(frame)
    return bool(found) and not do_meet(boxes, found)


def do_meet(boxes: Sequence[Box], found: Sequence[Box]) -> bool:
    """Whether any of some boxes that somebody gave is of a face that a detector found."""
    return any(box_overlap(a, b) >= MET for a in boxes for b in found)


def _on_one_face(window: Box, other: Box) -> bool:
    """Whether the centre of either lies in the other."""
    return _holds_centre(window, other) or _holds_centre(other, window)


def _holds_centre(window: Box, other: Box) -> bool:
    x, y = other.centre
    within = window.left <= x <= window.left + window.width
    return within and window.top <= y <= window.top + window.height


def prominence(window: Box, shape: tuple[int, ...]) -> tuple[float, float, float]:
    """What the face asked for has most of in a picture (H, W, ...): size, and nearness to its
    middle; the rest decides between equals."""
    x, y = window.centre
    away = float(np.hypot(x / shape[1] - 0.5, y / shape[0] - 0.5))
    return window.width * (1.0 - away), -window.left, -window.top


def _landmark_box(window: Box, scale: float) -> Box:
    side = window.width * scale * LANDMARKS_PER_WINDOW
    x = (window.left + window.width / 2) * scale
    y = (window.top + window.height * (0.5 + LANDMARKS_BELOW_CENTRE)) * scale
    return Box(x - side / 2, y - side / 2, side, side)


def _turned_back(box: Box, degrees: float, turned: tuple[int, ...], shape: tuple[int, ...]) -> Box:
    """A box of a picture turned anticlockwise about its middle, in the picture (H, W, ...)."""
    # y points down: anticlockwise on the screen has the opposite sign there.
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    x, y = np.subtract(box.centre, (turned[1] / 2, turned[0] / 2))
    left = float(cosine * x - sine * y) + (shape[1] - box.width) / 2
    top = float(sine * x + cosine * y) + (shape[0] - box.height) / 2
    return Box(left, top, box.width, box.height)


def _cascade_window(box: Box) -> Box:
    """The cascade's window around a landmark box: the inverse of `_landmark_box`."""
    side = max(box.width, box.height) / LANDMARKS_PER_WINDOW
    x, y = box.centre
    return Box(x - side / 2, y - side * LANDMARKS_BELOW_CENTRE - side / 2, side, side)


def make_detector(
    choice: str = "embedded", device: str = "cpu", tilted: bool = False
) -> ManyFacesDetector:
    """A detector of faces.

    Args:
        choice: `embedded` (the cascade), `mtcnn` or its file (`facebench weights get`), or `sfd`
            (face-alignment with its own weights).
        device: where a network computes.
        tilted: the cascade looks for tilted faces too, which networks find without being told.

    Raises:
        FacebenchError: its weights are not there or cannot be used.
    """
    if choice == "embedded":
        return CascadeDetector(tilted)
    # Only now: who reads frames with the cascade alone shall not pay for importing PyTorch.
    if choice == "sfd":
        from .landmarks import SfdDetector

        return SfdDetector(device)
    from .mtcnn import packaged_detector

    return packaged_detector(choice, device)
