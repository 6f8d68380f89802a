"""The answer of a gate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from ...bench.scoring.statistics import Interval


class Status(StrEnum):
    """What came of a check, and of all."""

    PASSED = "pass"
    WARNED = "warn"
    FAILED = "fail"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


EXIT_CODES = {Status.PASSED: 0, Status.FAILED: 1, Status.UNKNOWN: 3}
"""Of the whole gate; 2 is for wrong usage and input."""


@dataclass(frozen=True)
class Check:
    """One rule held against one scene, or against the whole run.

    Attributes:
        kind: of the rule: limit, regression, coverage, speed, paper.
        scene: or empty for the whole run.
        status: what came of it.
        quantity: what was measured, for example `mean_mm`.
        value: the number measured; NaN when there is none.
        bound: what it must not be above, or for coverage and speed not below.
        unit: `mm`, `share` or `ratio`.
        interval: 95 % of the value over subjects, where it has one.
        detail: what else must be known, above all why there is no answer.
    """

    kind: str
    scene: str
    status: Status
    quantity: str
    value: float = float("nan")
    bound: float = float("nan")
    unit: str = "mm"
    interval: Interval | None = None
    detail: str = ""

    @property
    def at_least(self) -> bool:
        """Whether the bound is a lower one."""
        return self.kind in ("coverage", "speed")


@dataclass(frozen=True)
class Verdict:
    """All checks of a run.

    Attributes:
        run: its label.
        place: its folder, or MLflow run id.
        title: protocol and dataset with their short digests.
        baseline: what it was held against, or empty.
        checks: in the order of the rules.
    """

    run: str
    place: str
    title: str
    baseline: str
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        """Failed if anything failed; else unknown if anything could not be evaluated, or nothing
        was; else passed, also with warnings."""
        found = {check.status for check in self.checks}
        if Status.FAILED in found:
            return Status.FAILED
        measured = found & {Status.PASSED, Status.WARNED}
        return Status.UNKNOWN if Status.UNKNOWN in found or not measured else Status.PASSED

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 3 could not be evaluated."""
        return EXIT_CODES[self.status]

    @property
    def headline(self) -> str:
        """The answer in one line."""
        counts = Counter(check.status for check in self.checks)
        parts = [f"{counts[status]} {status}" for status in Status if counts[status]]
        told = ", ".join(parts) if set(counts) - {Status.SKIPPED} else "no rule is for this run"
        return f"gate {_WORDS[self.status]}: {told}"


_WORDS = {
    Status.PASSED: "passed",
    Status.FAILED: "failed",
    Status.UNKNOWN: "could not be evaluated",
}
