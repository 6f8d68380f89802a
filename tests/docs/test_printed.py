"""Printed numbers of README and docs come from one file, so that no two pages can disagree."""

from __future__ import annotations

import json
import re
import runpy

from doc_pages import DOCS, ROOT, pages

KEPT: dict[str, str] = json.loads((DOCS / "printed.json").read_text("utf-8"))
BLOCK = runpy.run_path(str(ROOT / "tests" / "benchmarks" / "printed.py"))["BLOCK"]
PAGES = {"README.md": ROOT / "README.md", **{page: DOCS / page for page in pages()}}


def test_every_printed_text_is_that_of_the_file_and_each_is_shown() -> None:
    shown = set()
    for page, path in PAGES.items():
        text = path.read_text("utf-8")
        found = BLOCK.findall(text)
        assert len(found) == text.count("<!-- printed:"), page
        for name, block in found:
            assert block == KEPT[name], f"{page}: {name}; see tests/benchmarks/printed.py"
            shown.add(name)
    assert shown == set(KEPT)


def test_the_short_table_is_the_long_one_rounded() -> None:
    short, long = KEPT["errors"], KEPT["compare"]
    means = re.findall(r"(\d\.\d\d) (\[[\d., ]+\])", short)
    assert len(means) == 9
    for mean, interval in means:
        assert f" {mean} ± " in long and interval in long
    differences = re.findall(r"[−+](\d\.\d\d), (p [\d.]+)", short)
    assert len(differences) == 3
    for _, p_value in differences:
        assert p_value in long
    assert re.search(r"\(([0-9a-f]{8})\)", short)[1] in long  # type: ignore[index]


def test_agreement_with_other_evaluators_is_stated_once_and_cited() -> None:
    """What README says of the challenges' evaluators is on the page with the command."""
    stated = re.findall(r"to ([\de-]+) and ([\de-]+) mm", (ROOT / "README.md").read_text("utf-8"))
    assert len(stated) == 1
    text = (DOCS / "measured.md").read_text("utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| agreement of means with")]
    assert all(number in row for number in stated[0])
