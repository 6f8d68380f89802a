"""A verdict for machines and for the pages of a CI service: JSON, JUnit XML, Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

from ..tables.draw import in_cell, markdown_table
from .texts import HEAD, check_cells, check_line, check_name, subtitle
from .verdict import Check, Status, Verdict

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
