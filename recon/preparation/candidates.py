"""First stage: from a photograph's files to the parts of it that show faces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import FacebenchError
from ..face.crop import Box, box_of_points, check_inside, is_inside, landmark_box, upright_box
from ..face.labels import check_pixels, points_of_text
from ..files.pictures import orientation_of, read_picture
from ..files.text import SPREADSHEET, decode_text
from ..synthetic.appearance import CLASS_NAMES
from ..vision.detect import ManyFacesDetector, do_meet
from ..vision.parsing import BISENET, convert_order
from .listing import Photograph
from .patch import Framed, Patch, cut_patch
from .rows import WHOLE_PHOTOGRAPH, Reason, RejectedError, WorkRow

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]

POINTS, FIVE_POINTS = 68, 5
_ASPECT = 0.02
"""A mask may be smaller than its photograph, but not of another shape."""

_LIES = "its landmarks are not where its face is: are they of the picture before it is turned?"

_Found = tuple[int, Box, Points | None]
"""Number, box and, where a file tells them, landmarks of a face."""


def decode_photograph(content: bytes) -> Pixels:
    """RGB pixels (H, W, 3), upright as the camera was held.

    Raises:
        RejectedError: no picture, damaged, or too large to be opened safely.
    """
    try:
        return np.array(read_picture(content, "RGB"))
    except ValueError as error:
        raise RejectedError(Reason.UNREADABLE, str(error)) from error


def decode_mask(content: bytes, size: tuple[int, int]) -> Pixels:
    """Classes (H, W) of a mask picture, brought to the size (H, W) of its photograph.

    Raises:
        RejectedError: no picture of class numbers, or of another shape than the photograph.
    """
    try:
        picture = read_picture(content, "")
    except ValueError as error:
        raise RejectedError(Reason.SIDECAR, f"mask: {error}") from error
    # Colours could only be guessed to be classes.
    if picture.mode not in ("L", "P", "1"):
        raise RejectedError(Reason.SIDECAR, "the mask has colours, not class numbers")
    height, width = size
    if abs(picture.width / picture.height * height / width - 1.0) > _ASPECT:
        raise RejectedError(
            Reason.SIDECAR,
            f"the mask is {picture.width} x {picture.height}, not {width} x {height}",
        )
    # Nearest: between two classes there is no third.
    classes = np.array(picture.resize((width, height), Image.Resampling.NEAREST))
    # Training looks up a weight by the class, and would always fail at this photograph.
    if classes.max() >= len(CLASS_NAMES):
        raise RejectedError(Reason.SIDECAR, f"the mask has class {classes.max()}; the last is 18")
    return classes.astype(np.uint8)


def decode_landmarks(content: bytes, name: str) -> Points:
    """Landmarks (faces, 68, 2) or (1, 5, 2) in px of the upright photograph.

    `.pts` is iBUG's: points in braces, counted from 1. Everything else is `x y` a line, counted
    from 0, integers at pixel centres; the lines of several faces follow one another. See
    `labels.points_of_text`.

    Raises:
        RejectedError: not 68 or 5 points of two finite numbers each.
    """
    try:
        points = points_of_text(decode_text(content, SPREADSHEET), 2, name)
        check_pixels(points, name)
    except FacebenchError as error:
        raise RejectedError(Reason.SIDECAR, error.message) from error
    except ValueError as error:
        raise RejectedError(Reason.SIDECAR, f"{name}: no text") from error
    # Several faces follow one another, 68 lines each; five points are always one face.
    each = len(points) if len(points) == FIVE_POINTS else POINTS
    if len(points) == 0 or len(points) % each:
        raise RejectedError(Reason.SIDECAR, f"{name}: {len(points)} points, not 68 a face")
    if not np.isfinite(points).all():
        raise RejectedError(Reason.SIDECAR, f"{name}: a point that is not finite")
    first = 1.0 if name.lower().endswith(".pts") else 0.0
    return (points - first).reshape(-1, each, 2).astype(np.float32)


LIMITS = ("face_px", "sharpness", "darkest", "lost", "outside", "misfit")
"""Those of the settings from where on a face is left out: in plans a table of their own."""


@dataclass(frozen=True)
class PreparationSettings:
    """What decides every row besides the networks, and from where on a face is left out.

    Attributes:
        face_px: longer side of the landmark box in px of the photograph, at least.
        sharpness: variance of the Laplacian, at least; see `Framed`.
        darkest: median grey value of the face, at least.
        lost: share of the face's pixels that are nearly white, at most.
        outside: share of the landmark box's longer side by which a landmark may lie outside the
            photograph.
        misfit: of the landmarks, at most; see `selection.fit_affine_camera`.
        image_size: side of the crops in px.
        all_faces: keep every face of a photograph, not only the main one.
        mask_order: label order of the mask files, see `recon.vision.parsing`.
    """

    face_px: float = 64.0
    sharpness: float = 20.0
    darkest: float = 25.0
    lost: float = 0.35
    outside: float = 0.02
    misfit: float = 0.10
    image_size: int = 224
    all_faces: bool = False
    mask_order: str = BISENET


@dataclass(frozen=True, eq=False)
class PhotographFaces:
    """What one photograph shows.

    Attributes:
        source, stamp, sha256: see `WorkRow`.
        candidates: faces that go on.
        rejected: number, box and reason of faces that do not; or of the photograph as a whole.
    """

    source: str
    stamp: str
    sha256: str
    candidates: tuple[Patch, ...]
    rejected: tuple[tuple[int, Box | None, RejectedError], ...] = ()

    def row(self, face: int, box: Box | None, fate: Framed | RejectedError) -> WorkRow:
        """A row of this photograph."""
        return WorkRow(self.source, self.stamp, self.sha256, face, fate, box)


def find_faces(
    photograph: Photograph, detector: ManyFacesDetector, settings: PreparationSettings
) -> PhotographFaces:
    """Read a photograph and find its faces; never raises for what its files hold."""
    digest = ""
    try:
        # Read once: the digest, the pixels and what is kept are then of the same bytes.
        content = photograph.file.read()
        digest = hashlib.sha256(content).hexdigest()
        frame = decode_photograph(content)
        found = _faces(photograph, frame, detector)
        turn = orientation_of(content) if photograph.landmarks else 1
        if turn != 1 and _are_unturned([box for _, box, _ in found], turn, frame, detector):
            raise RejectedError(Reason.SIDECAR, _LIES)
        mask = _mask(photograph, frame, settings.mask_order)
        # After the mask: a photograph whose label file is unusable has no face that could be kept.
        kept, others = _choose(found, settings.all_faces)
        candidates = tuple(
            # Only the part around the face goes on to the networks: photographs are many times
            # larger.
            cut_patch(frame, mask, box, settings.image_size, face, points)
            for face, box, points in kept
        )
    except Exception as error:  # a decoder's bug on one file must not end the run
        told = f"{type(error).__name__}: {error}".partition("\n")[0]
        why = error if isinstance(error, RejectedError) else RejectedError(Reason.UNREADABLE, told)
        candidates, others = (), ((WHOLE_PHOTOGRAPH, None, why),)
    return PhotographFaces(photograph.source, photograph.stamp, digest, candidates, others)


def _faces(photograph: Photograph, frame: Pixels, detector: ManyFacesDetector) -> list[_Found]:
    """Number, box and landmarks of each face, the main one first; a landmarks file has the word."""
    if photograph.landmarks:
        points = decode_landmarks(photograph.landmarks.read(), photograph.landmarks.name)
        if points.shape[1] == FIVE_POINTS:  # they say where the face is, a network the rest
            box = box_of_points(points[0])
            _check_same_picture([box], frame)
            return [(0, box, None)]
        boxes = [landmark_box(one) for one in points]
        _check_same_picture(boxes, frame)
        given = [(face, boxes[face], points[face]) for face in range(len(points))]
        # The main face first, as the detector gives it; a file may have any order.
        return sorted(given, key=lambda one: -max(one[1].width, one[1].height))
    detected = detector.detect_all(frame)
    if not detected:
        raise RejectedError(Reason.NO_FACE)
    return [(face, box, None) for face, box in enumerate(detected)]


def _check_same_picture(boxes: Sequence[Box], frame: Pixels) -> None:
    """Refuse a file of another picture; one face of several beyond the edge is its own row's."""
    if any(is_inside(box, frame) for box in boxes):
        return
    try:
        check_inside(boxes[0], frame)
    except FacebenchError as error:
        raise RejectedError(Reason.SIDECAR, error.message) from error


def _are_unturned(
    boxes: Sequence[Box], turn: int, frame: Pixels, detector: ManyFacesDetector
) -> bool:
    """Whether labels are of the picture before it is turned: on a face only once they are, too.

    Programs differ in whether they turn a picture first. A face beside them alone says nothing: of
    a group somebody labels one, whom a detector need not find.
    """
    found = detector.detect_all(frame)
    upright = [upright_box(box, turn, frame) for box in boxes]
    return not do_meet(boxes, found) and do_meet(upright, found)


def _choose(
    found: Sequence[_Found], all_faces: bool
) -> tuple[Sequence[_Found], tuple[tuple[int, Box | None, RejectedError], ...]]:
    kept = found if all_faces else found[:1]
    why = RejectedError(Reason.OTHER_FACE, f"face {found[0][0]} is larger or more central")
    return kept, tuple((face, box, why) for face, box, _ in found[len(kept) :])


def _mask(photograph: Photograph, frame: Pixels, order: str) -> Pixels | None:
    if photograph.mask is None:
        return None
    try:
        content = photograph.mask.read()
    except OSError as error:
        raise RejectedError(Reason.SIDECAR, f"mask: {error.strerror}") from error
    # One order from here on: the shards hold BiSeNet's.
    return convert_order(decode_mask(content, frame.shape[:2]), order, BISENET)
