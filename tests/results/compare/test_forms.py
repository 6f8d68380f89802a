"""A comparison in its five forms: all say the same, none breaks on strange names."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from example_runs import SCENES, example_record, example_run
from rich.console import Console

from facebench.results.compare import Comparison, compare, comparison_tables, comparison_text
from facebench.results.tables.published import published_results
from facebench.results.tables.writers import TerminalTable

EVIL = r"50% & #1 _best_ {a|b} ~^$\x [bold]<b>"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    root = tmp_path_factory.mktemp("runs")
    named = {**example_record().arguments, "name": EVIL}
    runs = [
        example_run(root / "mean", "mean-face", 1.9, 1),
        example_run(root / "ours", "ours", 1.2, 2, arguments=named),
    ]
    return compare(runs, published_results())


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    root = tmp_path_factory.mktemp("apart")
    other = {"protocol": "metric", "protocol_digest": "8" * 64, "unit": "cm"}
    return compare([example_run(root / "a"), example_run(root / "b", **other)])


def drawn(comparison: Comparison, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(*map(TerminalTable, comparison_tables(comparison)), sep="\n")
    return console.export_text()


def test_the_terminal_shows_both_tables_in_80_columns(compared: Comparison) -> None:
    text = drawn(compared)
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    for pair in compared.groups[0].pairs:
        difference = pair.difference
        assert f"{difference.mean_mm:+.3f} *" in text
        assert f"[{difference.ci95_mm.low:.3f}, {difference.ci95_mm.high:.3f}]" in text
    assert "8/0/0 · p 0.023" in text and "Genova et al. 2018" in text and "[bold]<b>" in text


def test_the_terminal_shows_what_keeps_runs_apart(apart: Comparison) -> None:
    text = drawn(apart)
    assert "the runs differ in" in text and re.search(r"protocol +micc +metric", text)
    assert re.search(r"unit +mm +cm", text) and text.count("Error in mm") == 2


@pytest.mark.parametrize("fixture", ["compared", "apart"])
def test_markdown_tables_are_whole(fixture: str, request: pytest.FixtureRequest) -> None:
    tables = re.findall(
        r"(?:^\|.*\|\n)+",
        comparison_text(request.getfixturevalue(fixture), "markdown"),
        re.MULTILINE,
    )
    assert len(tables) in (2, 3)
    for table in tables:
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1


@pytest.mark.parametrize("fixture", ["compared", "apart"])
def test_latex_is_balanced_and_its_rows_are_whole(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    text = comparison_text(request.getfixturevalue(fixture), "latex")
    bare = re.sub(r"\\[\\{}&%$#_]", "", text)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    assert text.count(r"\begin{") == text.count(r"\end{")
    tables = re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    for columns, body in tables:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows and all(len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1 for row in rows)


def test_latex_marks_the_best_and_rules_off_the_published(compared: Comparison) -> None:
    text = comparison_text(compared, "latex")
    assert text.count(r"\textbf{") == 2 * len(SCENES)  # the lowest, and what is beyond chance
    measured, published = text.split(r"\midrule")[1:3]
    assert r"\textbf{" in measured and r"\textbf{" not in published
    assert published.count("published}") == 3 and "1.36 $\\pm$ 0.12" in published


def test_csv_has_a_line_a_run_and_scene_with_its_difference(compared: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(comparison_text(compared, "csv"))))
    assert len(rows) == 5 * len(SCENES)
    for row, pair in zip(rows[len(SCENES) :], compared.groups[0].pairs, strict=False):
        assert (row["method"], row["compared_with"]) == (EVIL, "mean-face")
        assert float(row["difference_mm"]) == pair.difference.mean_mm
        assert int(row["wins"]) == pair.wins
    assert {row["compared_with"] for row in rows[: len(SCENES)]} == {""}
    assert {row["wins"] + row["coverage"] for row in rows if row["remark"] == "published"} == {""}
    assert {row["protocol_digest"] for row in rows} == {"0123456789abcdef" * 4}


def test_json_holds_everything_and_no_nan(compared: Comparison, apart: Comparison) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    (group,) = json.loads(comparison_text(compared, "json"), parse_constant=refuse)["groups"]
    assert [run["label"] for run in group["runs"]] == ["mean-face", EVIL]
    assert group["runs"][1]["scenes"]["indoor"]["n_subjects"] == 8
    assert group["best"] == dict.fromkeys(SCENES, EVIL)
    assert len(group["published"]) == 3 and len(group["pairs"]) == len(SCENES)
    assert group["pairs"][0]["difference_mm"] < 0 and group["pairs"][0]["verdict"] == "lower"
    kept = json.loads(comparison_text(apart, "json"), parse_constant=refuse)
    assert {"kind": "dataset", "name": "unit", "values": ["mm", "cm"]} in kept["differing"]


def test_plain_forms_have_no_terminal_codes(compared: Comparison, tmp_path: Path) -> None:
    for form in ("markdown", "latex", "csv", "json"):
        assert "\x1b" not in comparison_text(compared, form)
