"""One line of the doctor's answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a thing stands; only `MISSING` keeps facebench from working."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    Attributes:
        group: heading it stands under.
        name: the thing.
        verdict: how it stands.
        detail: what was found, in a few words.
        hint: what to do about it; empty when there is nothing to do.
    """

    group: str
    name: str
    verdict: Verdict
    detail: str
    hint: str = ""
