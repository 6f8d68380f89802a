"""What one check found, and how a check that breaks off is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ...errors import FacebenchError
from ..frames.chunks import plain_reason


class Verdict(StrEnum):
    """How a check ended; only `FAILED` makes a method's numbers wrong or impossible."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    Attributes:
        check: what was looked at.
        verdict: how it ended.
        detail: what was found, in a few words.
        advice: what to do about it; empty when there is nothing to do.
    """

    check: str
    verdict: Verdict
    detail: str
    advice: str = ""


def passed(check: str, detail: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Verdict.PASSED, detail)


def warning(check: str, detail: str, advice: str) -> Finding:
    """Allowed, and worth a thought."""
    return Finding(check, Verdict.WARNING, detail, advice)


def failed(check: str, detail: str, advice: str) -> Finding:
    """To be repaired."""
    return Finding(check, Verdict.FAILED, detail, advice)


def broke_off(check: str, error: Exception) -> Finding:
    """A check that an error ended."""
    if isinstance(error, FacebenchError):
        return failed(check, error.message, error.hint)
    return failed(check, plain_reason(error), "the method raises: repair it")


def attempt(check: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """The findings of a check up to its end, or up to the error that ended it."""
    found: list[Finding] = []
    try:
        found.extend(look())
    except Exception as error:  # a method raises whatever it likes
        found.append(broke_off(check, error))
    return found
