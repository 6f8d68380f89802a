"""Why a photograph or a face does not become a training face."""

from __future__ import annotations

from enum import StrEnum

from ...errors import FacebenchError


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
