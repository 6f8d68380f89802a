"""The words of a verdict, the same in every form."""

from __future__ import annotations

import math

from ..tables import interval_text
from .verdict import Check, Verdict

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
    return f"{_number(check.value, check)} {interval}".strip()


def wanted_text(check: Check) -> str:
    """The bound with its direction, or a dash."""
    if not math.isfinite(check.bound):
        return "–"
    return f"{'≥' if check.at_least else '≤'} {_number(check.bound, check)}"


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


def _number(value: float, check: Check) -> str:
    if check.unit == "share":
        return f"{value:.0%}"
    if check.unit == "ratio":
        return f"{value:.2f}"
    signed = "+" if check.interval else ""
    return f"{value:{signed}.3f}"
