"""The answer of a gate: for the terminal, as JSON, as JUnit XML and as Markdown."""

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

from rich.table import Table
from rich.text import Text

from ...bench.scoring.statistics import Interval
from ..tables.writers import empty_table, in_cell, interval_text, markdown_table


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


COLOURS = MappingProxyType(
    {
        Status.PASSED: "green",
        Status.WARNED: "yellow",
        Status.FAILED: "bold red",
        Status.UNKNOWN: "bold magenta",
        Status.SKIPPED: "dim",
    }
)


def verdict_table(verdict: Verdict) -> Table:
    """One row a check; below it the answer, then a line for each check that did not pass."""
    table = empty_table(subtitle(verdict), (verdict.headline, *remarks(verdict)))
    for heading in HEAD[:-1]:
        right = heading in ("measured", "wanted")
        table.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=heading != "what",
            overflow="fold",
        )
    for check in verdict.checks:
        status, *cells, measured, wanted, _ = check_cells(check)
        stacked = measured.replace(" [", "\n[")
        style = COLOURS[check.status]
        table.add_row(Text(status, style=style), *map(Text, (*cells, stacked, wanted)))
    return table


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OUTCOMES = MappingProxyType(
    {Status.FAILED: "failure", Status.UNKNOWN: "error", Status.SKIPPED: "skipped"}
)
"""Elements of JUnit's test cases."""


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
    rows = [[in_cell(cell) for cell in check_cells(check)] for check in verdict.checks]
    table = markdown_table(subtitle(verdict), HEAD, rows)
    return f"### {verdict.headline}\n\n{table}"


def verdict_junit(verdict: Verdict) -> str:
    """A JUnit file: a test case a check; what was not evaluated is an error, a warning passes.

    A gate that measured nothing has one case more, an error, so that no reader takes it for passed.
    """
    cases = [_case(verdict, check) for check in verdict.checks]
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
    names = {"classname": f"gate.{_plain(verdict.run)}", "name": _plain(check_name(check))}
    case = ElementTree.Element("testcase", names)
    said = _plain(check_line(check))
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
    """Text without the characters that XML cannot hold."""
    return _NOT_XML.sub("�", text)
