"""What is kept of each face, and why a photograph or a face is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa

from ...errors import FacebenchError
from ..face.crop import Box
from ..files.pictures import encode_picture
from ..synthetic.appearance import MASK_ORDER
from .patch import Framed, perceptual_hash

WHOLE_PHOTOGRAPH = -1
"""Face number of a row that tells of a photograph as a whole."""

DROPPED = "dropped.parquet"
"""The table beside the shards of what was left out of them; no shard."""

_JPEG_QUALITY = 95

_SEEN = [
    ("source", pa.string()),
    ("face", pa.int32()),
    ("left", pa.float32()),
    ("top", pa.float32()),
    ("width", pa.float32()),
    ("height", pa.float32()),
    ("sha256", pa.string()),
]
_LABELS = [
    ("image", pa.binary()),
    ("landmarks", pa.list_(pa.float32())),
    ("mask", pa.binary()),
    ("crop_size", pa.int32()),
]
_MEASURES = [
    ("hash", pa.uint64()),
    ("face_px", pa.float32()),
    ("sharpness", pa.float32()),
]
_FATE = [("reason", pa.string()), ("detail", pa.string())]
_OF_WORK = [("stamp", pa.string()), ("masked", pa.bool_())]

WORK_SCHEMA = pa.schema([*_SEEN, *_OF_WORK, *_FATE, *_LABELS, *_MEASURES])
"""A row per face, or per photograph without one, as work goes on; `reason` is empty for a face."""

DROPPED_SCHEMA = pa.schema([*_SEEN, *_FATE])
"""A row per photograph or face that was left out."""


class Reason(StrEnum):
    """What was wrong; the text stands in tables."""

    ARCHIVE = "unreadable archive"
    UNREADABLE = "unreadable photograph"
    SIDECAR = "unusable landmarks or mask file"
    SAME_FILE = "same file as another"
    NO_FACE = "no face found"
    OTHER_FACE = "not the main face"
    NO_LANDMARKS = "no landmarks"
    IMPLAUSIBLE = "implausible landmarks"
    CUT = "cut by the border"
    TOO_SMALL = "too small"
    TOO_DARK = "too dark"
    OVER_EXPOSED = "over-exposed"
    BLURRED = "blurred"
    NEAR_DUPLICATE = "near-duplicate"


class RejectedError(FacebenchError):
    """Something is left out of the training faces; never seen by a user as an error.

    Args:
        reason: of the table.
        detail: numbers or the library's words.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = self.hint

    def __reduce__(self) -> tuple[type[RejectedError], tuple[Reason, str]]:
        """Keep both parts when the error crosses a process boundary."""
        return type(self), (self.reason, self.detail)


def faces_schema(image_size: int) -> pa.Schema:
    """Columns and metadata of the training shards."""
    names = [("id", pa.string()), ("subject", pa.string())]
    metadata = {"facebench.mask_order": MASK_ORDER, "facebench.image_size": str(image_size)}
    return pa.schema([*names, *_LABELS, *_SEEN, *_MEASURES], metadata=metadata)


@dataclass(frozen=True, eq=False)
class WorkRow:
    """What became of a face, or of a photograph without one.

    Attributes:
        source: name of the photograph.
        stamp: of the photograph and its label files.
        sha256: of the photograph's bytes; empty where they could not be read.
        face: number in the photograph from 0, or `WHOLE_PHOTOGRAPH`.
        fate: the face for training, or why there is none.
        box: of the landmarks in px of the photograph, or the detector's guess of it.
    """

    source: str
    stamp: str
    sha256: str
    face: int
    fate: Framed | RejectedError = field(repr=False)
    box: Box | None = None

    def columns(self) -> dict[str, Any]:
        """Values by the names of `WORK_SCHEMA`; what is missing is null."""
        seen = {name: getattr(self, name) for name in ("source", "stamp", "sha256", "face")}
        placed = vars(self.box) if self.box else {}
        if isinstance(self.fate, RejectedError):
            return seen | placed | {"reason": str(self.fate.reason), "detail": self.fate.detail}
        return seen | placed | {"reason": "", "detail": ""} | _face_columns(self.fate)


def _face_columns(face: Framed) -> dict[str, Any]:
    """Values of the columns of `WORK_SCHEMA` that a kept face fills."""
    return {
        "image": encode_picture(face.image, "JPEG", quality=_JPEG_QUALITY),
        "landmarks": face.landmarks.ravel().tolist(),
        "mask": None if face.mask is None else encode_picture(face.mask, "PNG"),
        "masked": face.mask is not None,
        "crop_size": len(face.image),
        "hash": perceptual_hash(face.image),
        "face_px": face.face_px,
        "sharpness": face.sharpness,
    }
