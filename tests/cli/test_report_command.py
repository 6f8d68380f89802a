"""`facebench report`: the page and the first table from the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from example_runs import example_run

from facebench.cli.main import group
from facebench.errors import FacebenchError


def report(*arguments: object) -> Result:
    return CliRunner().invoke(group, ["report", *map(str, arguments)])


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    ours = example_run(tmp_path / "ours", "ours", 1.36).root
    return [ours, example_run(tmp_path / "mean", "mean-face", 1.9, seed=1).root]


def test_the_page_is_written_into_the_first_run(runs: list[Path]) -> None:
    result = report(*runs, "--published")
    page = runs[0] / "report.html"
    assert result.exit_code == 0 and result.output.strip() == str(page)
    text = page.read_text(encoding="utf-8")
    assert "mean-face" in text and "Tran et al. 2017" in text
    assert not (runs[1] / "report.html").exists()


def test_out_names_the_page(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "sub" / "page.html"
    assert report(runs[0], "--out", out).exit_code == 0
    assert out.is_file() and not (runs[0] / "report.html").exists()


def test_markdown_goes_to_standard_output_or_a_file(runs: list[Path], tmp_path: Path) -> None:
    printed = report(*runs, "--format", "markdown").output
    report(*runs, "--format", "markdown", "--out", tmp_path / "table.md")
    assert printed.startswith("**Error in mm") and printed == (tmp_path / "table.md").read_text()


def test_csv_is_read_back(runs: list[Path]) -> None:
    rows = list(csv.DictReader(report(*runs, "--format", "csv").output.splitlines()))
    assert [row["method"] for row in rows] == ["ours"] * 3 + ["mean-face"] * 3


def test_the_terminal_table(runs: list[Path]) -> None:
    output = report(*runs, "--format", "table").output
    assert "protocol micc (01234567)" in output and "mean-face" in output


def test_runs_of_two_protocols_are_refused(runs: list[Path], tmp_path: Path) -> None:
    other = example_run(tmp_path / "other", protocol="metric", protocol_digest="9" * 64).root
    result = report(runs[0], other)
    assert isinstance(result.exception, FacebenchError) and "protocol" in str(result.exception)
    assert not (runs[0] / "report.html").exists()


def test_an_unfinished_run_is_told_how_it_goes_on(runs: list[Path]) -> None:
    (runs[1] / "summary.json").unlink()
    said = str(report(*runs).exception)
    assert "is unfinished" in said and "continue it with: facebench micc" in said
