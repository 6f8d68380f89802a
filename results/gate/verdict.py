"""The answer of a gate: as a table, as JSON, as JUnit XML and as Markdown."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

from ...bench.scoring.statistics import Interval
from ...errors import visible
from ..tables.table import DASH, Cell, Style, Table, interval_text, number_text, p_text, share_text
from ..tables.writers import markdown


class Status(StrEnum):
    """The outcome of a check, and of all."""

    PASSED = "pass"
    WARNED = "warn"
    FAILED = "fail"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


EXIT_CODES = MappingProxyType({Status.PASSED: 0, Status.FAILED: 1, Status.UNKNOWN: 3})
"""Of the whole gate; 2 is for wrong usage and input."""

_WORDS = MappingProxyType(
    {
        Status.PASSED: "passed",
        Status.FAILED: "failed",
        Status.UNKNOWN: "could not be evaluated",
    }
)
_STYLES: MappingProxyType[Status, Style] = MappingProxyType(
    {
        Status.PASSED: "pass",
        Status.WARNED: "warn",
        Status.FAILED: "fail",
        Status.UNKNOWN: "unknown",
        Status.SKIPPED: "skipped",
    }
)
_OUTCOMES = MappingProxyType(
    {Status.FAILED: "failure", Status.UNKNOWN: "error", Status.SKIPPED: "skipped"}
)
"""Elements of JUnit's test cases."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Check:
    """One rule held against one scene, or against the whole run.

    Attributes:
        kind: of the rule: limit, regression, coverage, completeness, speed, paper; or
            `consistency`, of the run's own files.
        scene: or empty for the whole run.
        status: what came of it.
        quantity: what was measured, for example `mean_mm`.
        value: the number measured; NaN when there is none.
        bound: what it must not be above, or for shares and speed not below.
        unit: `mm`, `share` or `ratio`.
        interval: 95 % of the value over subjects, where it has one.
        p_holm: of no difference over subjects, as `compare` prints it; NaN where none was tested.
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
    p_holm: float = float("nan")
    detail: str = ""

    @property
    def name(self) -> str:
        """The check in few words: `regression cooperative`."""
        return " ".join(filter(None, (self.kind, self.scene)))

    @property
    def measured(self) -> str:
        """The number, with its sign where it is a difference; or a dash."""
        # Of all that is measured only differences have an interval.
        sign = "+" if self.interval and self.value > 0 else ""
        return sign + self._text(self.value) if math.isfinite(self.value) else DASH

    @property
    def wanted(self) -> str:
        """The bound with its direction, or a dash."""
        if not math.isfinite(self.bound):
            return DASH
        return f"{'≤' if self.unit == 'mm' else '≥'} {self._text(self.bound)}"

    @property
    def evidence(self) -> tuple[str, ...]:
        """The interval and the p-value, as far as there are any."""
        known = self.interval
        interval = (interval_text(known.low, known.high, digits=3),) if known else ()
        return (*interval, f"p {p_text(self.p_holm)}") if math.isfinite(self.p_holm) else interval

    @property
    def line(self) -> str:
        """What the check says in one line."""
        if not math.isfinite(self.value):
            return self.detail
        measured = " ".join((self.measured, *self.evidence))
        told = f"{self.quantity} {measured}, wanted {self.wanted}"
        return f"{told}: {self.detail}" if self.detail else told

    def _text(self, value: float) -> str:
        if self.unit == "share":
            return share_text(value)
        return number_text(value, 2 if self.unit == "ratio" else 3)


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
        # A gate that only skipped or only warned has shown nothing that is good enough.
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


def verdict_table(verdict: Verdict) -> Table:
    """One row a check; below it the answer, then a line for each check that did not pass."""
    against = f", against {verdict.baseline}" if verdict.baseline else ""
    return Table(
        title=f"{verdict.run} ({verdict.place}), {verdict.title}{against}",
        head=("", "rule", "scene", "what", "measured", "wanted"),
        rows=tuple(map(_row, verdict.checks)),
        notes=(verdict.headline, *_remarks(verdict)),
        left=(0, 1, 2, 3),
    )


def _row(check: Check) -> tuple[Cell, ...]:
    status = Cell(check.status.value, style=_STYLES[check.status])
    words = (check.kind, check.scene or DASH, check.quantity or DASH)
    measured = Cell(check.measured, check.evidence)
    return (status, *map(Cell, words), measured, Cell(check.wanted))


def _remarks(verdict: Verdict) -> list[str]:
    """A line for all checks of one status and reason, without those that passed."""
    # The same reason of three scenes is one line.
    said: dict[tuple[str, str], list[str]] = {}
    for check in verdict.checks:
        if check.status is not Status.PASSED and check.detail:
            said.setdefault((check.status, check.detail), []).append(check.name)
    return [f"{status}: {', '.join(names)}: {why}" for (status, why), names in said.items()]


def verdict_values(verdict: Verdict) -> dict[str, Any]:
    """Everything as plain values; NaN where a number is unknown."""
    return {
        "verdict": verdict.status,
        "exit_code": verdict.exit_code,
        **{name: getattr(verdict, name) for name in ("run", "place", "title", "baseline")},
        "checks": [asdict(check) for check in verdict.checks],
    }


def verdict_markdown(verdict: Verdict) -> str:
    """A CI job's summary: the answer, and every check."""
    return f"### {visible(verdict.headline)}\n\n{markdown(verdict_table(verdict))}"


def verdict_junit(verdict: Verdict) -> str:
    """A JUnit file: a test case a check; what was not evaluated is an error, a warning passes.

    A gate that measured nothing has one case more, an error, so that no reader takes it for passed.
    """
    # Every check is a case, passed ones too: a report that shrinks is seen.
    cases = [_case(verdict, check) for check in verdict.checks]
    # All skipped: a suite without failures reads as passed everywhere.
    if verdict.status is Status.UNKNOWN and not _count(cases, "error"):
        cases.append(_nothing_measured(verdict))
    attributes = {
        "tests": str(len(cases)),
        "failures": str(_count(cases, "failure")),
        "errors": str(_count(cases, "error")),
        "skipped": str(_count(cases, "skipped")),
    }
    suite = ElementTree.Element("testsuite", {"name": "facebench gate", **attributes})
    suite.extend(cases)
    root = ElementTree.Element("testsuites", attributes)
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(verdict: Verdict, check: Check) -> ElementTree.Element:
    names = {"classname": f"gate.{_plain(verdict.run)}", "name": _plain(check.name)}
    case = ElementTree.Element("testcase", names)
    said = _plain(check.line)
    # A warning is a passing case with text: JUnit knows none.
    if outcome := _OUTCOMES.get(check.status):
        ElementTree.SubElement(case, outcome, {"message": said})
    else:
        ElementTree.SubElement(case, "system-out").text = f"{check.status}: {said}"
    return case


def _count(cases: Sequence[ElementTree.Element], outcome: str) -> int:
    return sum(case.find(outcome) is not None for case in cases)


def _nothing_measured(verdict: Verdict) -> ElementTree.Element:
    names = {"classname": f"gate.{_plain(verdict.run)}", "name": "measured"}
    case = ElementTree.Element("testcase", names)
    ElementTree.SubElement(case, "error", {"message": verdict.headline})
    return case


def _plain(text: str) -> str:
    """Text that shows as it is, without the characters that XML cannot hold."""
    return _NOT_XML.sub("�", visible(text))
