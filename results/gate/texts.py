"""The words of a verdict, the same in every form."""

from __future__ import annotations

import math

from ..tables.draw import interval_text
from .verdict import Check, Status, Verdict

HEAD = ("", "rule", "scene", "what", "measured", "wanted", "remark")


def check_cells(check: Check) -> list[str]:
    """One row of the table, its cells as in `HEAD`."""
    return [
        check.status,
        check.kind,
        check.scene or "–",
        check.quantity or "–",
        measured_text(check),
        wanted_text(check),
        check.detail,
    ]


def measured_text(check: Check) -> str:
    """The number with its interval, or a dash."""
    if not math.isfinite(check.value):
        return "–"
    known = check.interval
    interval = interval_text((known.low, known.high), digits=3) if known else ""
    sign = "+" if known and check.value > 0 else ""
    return f"{sign}{_number(check.value, check.unit)} {interval}".strip()


def wanted_text(check: Check) -> str:
    """The bound with its direction, or a dash."""
    if not math.isfinite(check.bound):
        return "–"
    return f"{'≥' if check.at_least else '≤'} {_number(check.bound, check.unit)}"


def check_name(check: Check) -> str:
    """A check in few words: `regression cooperative`."""
    return " ".join(filter(None, (check.kind, check.scene)))


def check_line(check: Check) -> str:
    """What a check says in one line."""
    if not math.isfinite(check.value):
        return check.detail
    told = f"{check.quantity} {measured_text(check)}, wanted {wanted_text(check)}"
    return f"{told}: {check.detail}" if check.detail else told


def subtitle(verdict: Verdict) -> str:
    """The run and what it stands on."""
    against = f", against {verdict.baseline}" if verdict.baseline else ""
    return f"{verdict.run} ({verdict.place}), {verdict.title}{against}"


def remarks(verdict: Verdict) -> list[str]:
    """A line for all checks of one status and reason, without those that passed."""
    said: dict[tuple[str, str], list[str]] = {}
    for check in verdict.checks:
        if check.status is not Status.PASSED and check.detail:
            said.setdefault((check.status, check.detail), []).append(check_name(check))
    return [f"{status}: {', '.join(names)}: {why}" for (status, why), names in said.items()]


def _number(value: float, unit: str) -> str:
    if unit == "share":
        return f"{value:.0%}"
    return f"{value:.2f}" if unit == "ratio" else f"{value:.3f}"
