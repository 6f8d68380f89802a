"""Which of the faces that are good enough become training faces: one of each that look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from .duplicates import distance, replaced_by
from .reasons import Reason

Row = Mapping[str, Any]

KEEP_ALL = -1
"""A radius that keeps faces that look alike."""


@dataclass(frozen=True)
class Selection:
    """Rows of an index, each in its order.

    Attributes:
        kept: become training faces.
        dropped: do not; `reason` and `detail` say why.
    """

    kept: Sequence[Row]
    dropped: Sequence[Row]


def select(index: Sequence[Row], radius: int) -> Selection:
    """Leave out copies of a file and faces that look alike.

    Of photographs with the same bytes the first by name stays. Of faces whose perceptual hashes
    differ in at most `radius` bits the one from the larger face stays, then the sharper, then the
    first; see `replaced_by`.

    Args:
        index: rows in the order of the photographs, `reason` empty for good faces.
        radius: bits, or `KEEP_ALL`.
    """
    reasons = _same_files(index)
    faces = [place for place, row in enumerate(index) if not row["reason"] and place not in reasons]
    reasons |= _near_duplicates(index, faces, radius)
    kept = [row for place, row in enumerate(index) if not row["reason"] and place not in reasons]
    dropped = [
        {**row, **reasons.get(place, {})}
        for place, row in enumerate(index)
        if row["reason"] or place in reasons
    ]
    return Selection(kept, dropped)


def names(row: Row, folders_are_subjects: bool) -> dict[str, str]:
    """Id and subject of a face.

    Args:
        row: of an index.
        folders_are_subjects: the folder above a photograph names its person; otherwise each
            photograph is of a person of its own.
    """
    source = str(row["source"])
    subject = str(PurePosixPath(source).parent) if folders_are_subjects else source
    return {"id": f"{source}#{row['face']}", "subject": subject}


def _same_files(index: Sequence[Row]) -> dict[int, dict[str, str]]:
    first: dict[str, str] = {}
    for row in index:
        if row["sha256"]:
            first.setdefault(row["sha256"], row["source"])
    return {
        place: {"reason": str(Reason.SAME_FILE), "detail": first[row["sha256"]]}
        for place, row in enumerate(index)
        if row["sha256"] and first[row["sha256"]] != row["source"]
    }


def _near_duplicates(
    index: Sequence[Row], faces: Sequence[int], radius: int
) -> dict[int, dict[str, str]]:
    best = sorted(faces, key=lambda face: (-index[face]["face_px"], -index[face]["sharpness"]))
    hashes = np.array([index[face]["hash"] for face in best], dtype=np.uint64)
    return {
        best[gone]: _near(index[best[gone]], index[best[keeper]])
        for gone, keeper in replaced_by(hashes, radius).items()
    }


def _near(gone: Row, keeper: Row) -> dict[str, str]:
    bits = distance(gone["hash"], keeper["hash"])
    detail = f"{bits} of 64 bits from {keeper['source']}#{keeper['face']}"
    return {"reason": str(Reason.NEAR_DUPLICATE), "detail": detail}
