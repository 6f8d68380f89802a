"""First stage: from a photograph's files to the parts of it that show faces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..vision.crop import Box
from ..vision.detect import ManyFacesDetector
from ..vision.label_orders import BISENET, converted
from .decoding import decode_landmarks, decode_mask, decode_photograph
from .listing import Photograph
from .patch import Patch, cut_patch, landmark_box
from .quality import QualityLimits
from .reasons import Reason, RejectedError
from .rows import WHOLE_PHOTOGRAPH, WorkRow

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]


@dataclass(frozen=True)
class PreparationSettings:
    """What decides every row besides the networks.

    Attributes:
        image_size: side of the crops in px.
        all_faces: keep every face of a photograph, not only the main one.
        mask_order: label order of the mask files, see `recon.vision.label_orders`.
        limits: of quality.
    """

    image_size: int = 224
    all_faces: bool = False
    mask_order: str = BISENET
    limits: QualityLimits = field(default_factory=QualityLimits)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A face that is not labelled or judged yet.

    Attributes:
        face: its number in the photograph.
        patch: the part of the photograph around it.
        box: in px of the photograph: of the landmarks if known, else as detected.
        landmarks: (68, 2) px of the photograph out of a file, or None.
    """

    face: int
    patch: Patch
    box: Box
    landmarks: Points | None


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
    candidates: tuple[Candidate, ...]
    rejected: tuple[tuple[int, Box | None, RejectedError], ...] = ()

    def row(self, face: int, box: Box | None, fate: RejectedError) -> WorkRow:
        """A row of this photograph that tells why there is no face."""
        return WorkRow(self.source, self.stamp, self.sha256, face, fate, box)


def find_faces(
    photograph: Photograph, detector: ManyFacesDetector, settings: PreparationSettings
) -> PhotographFaces:
    """Read a photograph and find its faces; never raises for what its files hold."""
    digest = ""
    try:
        content = photograph.file.read()
        digest = hashlib.sha256(content).hexdigest()
        frame = decode_photograph(content)
        found = _faces(photograph, frame, detector)
        mask = _mask(photograph, frame, settings.mask_order)
        kept, others = _chosen(found, settings.all_faces)
        candidates = tuple(
            Candidate(face, cut_patch(frame, mask, box, settings.image_size), box, points)
            for face, box, points in kept
        )
    except RejectedError as rejected:
        whole = ((WHOLE_PHOTOGRAPH, None, rejected),)
        return PhotographFaces(photograph.source, photograph.stamp, digest, (), whole)
    except Exception as error:  # a decoder's bug on one file must not end the run
        told = RejectedError(
            Reason.UNREADABLE, f"{type(error).__name__}: {error}".partition("\n")[0]
        )
        whole = ((WHOLE_PHOTOGRAPH, None, told),)
        return PhotographFaces(photograph.source, photograph.stamp, digest, (), whole)
    return PhotographFaces(photograph.source, photograph.stamp, digest, candidates, others)


_Found = tuple[int, Box, Points | None]


def _faces(photograph: Photograph, frame: Pixels, detector: ManyFacesDetector) -> list[_Found]:
    """Number, box and landmarks of each face, the main one first; a landmarks file has the word."""
    if photograph.landmarks:
        points = decode_landmarks(photograph.landmarks.read(), photograph.landmarks.name)
        boxes = [landmark_box(one) for one in points]
        given = [(face, boxes[face], points[face]) for face in range(len(points))]
        return sorted(given, key=lambda one: -max(one[1].width, one[1].height))
    detected = detector.detect_all(frame)
    if not detected:
        raise RejectedError(Reason.NO_FACE)
    return [(face, box, None) for face, box in enumerate(detected)]


def _chosen(
    found: Sequence[_Found], all_faces: bool
) -> tuple[Sequence[_Found], tuple[tuple[int, Box | None, RejectedError], ...]]:
    kept = found if all_faces else found[:1]
    others = [
        (
            face,
            box,
            RejectedError(Reason.OTHER_FACE, f"face {found[0][0]} is larger or more central"),
        )
        for face, box, _ in found[len(kept) :]
    ]
    return kept, tuple(others)


def _mask(photograph: Photograph, frame: Pixels, order: str) -> Pixels | None:
    if photograph.mask is None:
        return None
    try:
        content = photograph.mask.read()
    except OSError as error:
        raise RejectedError(Reason.SIDECAR, f"mask: {error.strerror}") from error
    return converted(decode_mask(content, frame.shape[:2]), order, BISENET)
