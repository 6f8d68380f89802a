"""The table of the paper from run folders: costs in every form, published rows marked."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest
from example_runs import example_run
from rich.console import Console
from small_regressor import write_small_regressor

from facebench.errors import FacebenchError
from facebench.results.compare import comparison_text
from facebench.results.compare.tables import TABLE1_FILES, comparison_tables, table1, write_table1
from facebench.results.run.folder import RunFolder
from facebench.results.run.record import MethodCost, read_cost, training_minutes
from facebench.results.tables.writers import TerminalTable

COSTS = {
    "ours": MethodCost(0.0123, 44.4, "a"),
    "mean-face": MethodCost(1e-7, 0.0, "b"),
    "theirs": MethodCost(math.nan, math.nan, "c"),
}


@pytest.fixture
def runs(tmp_path: Path) -> list[RunFolder]:
    errors = {"ours": 1.3, "mean-face": 1.9, "theirs": 1.6}
    return [
        example_run(tmp_path / name, name, error, seed=number)
        for number, (name, error) in enumerate(errors.items())
    ]


def test_costs_stand_behind_each_method(runs: list[RunFolder]) -> None:
    text = comparison_text(table1(runs, COSTS), "markdown")
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if "|" in line}
    assert lines["method"].endswith("| frames/s | s/face | training |")
    assert lines["ours"].endswith("| 0.012 | 44 min |")
    assert lines["mean-face"].endswith("| 1e-07 | none |")
    assert lines["theirs"].endswith("| – | – |")
    published = next(line for name, line in lines.items() if name.startswith("Genova"))
    assert "published" in published and published.endswith("| – | – | – |")


def test_a_narrow_terminal_loses_no_cost(runs: list[RunFolder]) -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(TerminalTable(next(comparison_tables(table1(runs, COSTS)))))
    printed = console.file.getvalue()
    assert all(word in printed for word in ("s/face", "training", "0.012", "44 min", "1e-07"))
    assert "and the fits that it learns from." in " ".join(printed.split())


def test_every_form_is_written(runs: list[RunFolder], tmp_path: Path) -> None:
    comparison = table1(runs, COSTS)
    paths = write_table1(comparison, COSTS, tmp_path / "table")
    assert [path.name for path in paths] == list(TABLE1_FILES.values())
    tex = (tmp_path / "table" / "table1.tex").read_text()
    assert "44 min" in tex and r"\begin{tabular}{lrrrrrr}" in tex
    rows = list(csv.DictReader((tmp_path / "table" / "table1.csv").open()))
    ours = next(row for row in rows if row["method"] == "ours")
    assert float(ours["training_minutes"]) == 44.4 and float(ours["seconds_per_face"]) == 0.0123
    assert all(not row["training_minutes"] for row in rows if row["remark"] == "published")
    first = next(row for row in rows if row["method"] == "theirs")
    assert first["compared_with"] == "ours" and first["p_holm"]


def test_pairs_are_with_the_first_or_all(runs: list[RunFolder]) -> None:
    assert len(table1(runs, COSTS).groups[0].pairs) == 2 * 3
    assert len(table1(runs, COSTS, all_pairs=True).groups[0].pairs) == 3 * 3
    rows = table1(runs, COSTS, published=False).groups[0].scenes.rows
    assert all(row.measured for row in rows)


def test_runs_of_two_protocols_are_refused(runs: list[RunFolder], tmp_path: Path) -> None:
    other = example_run(tmp_path / "x", protocol="metric", protocol_digest="9" * 64)
    with pytest.raises(FacebenchError, match="differ"):
        table1([*runs, other], COSTS)


def test_a_cost_is_kept_with_what_is_unknown(tmp_path: Path) -> None:
    assert read_cost(tmp_path) is None
    for cost in COSTS.values():
        cost.write(tmp_path)
        again = read_cost(tmp_path)
        assert again is not None and again.texts == cost.texts
        assert again.method_digest == cost.method_digest


def test_minutes_are_those_of_the_steps_by_their_speeds(tmp_path: Path) -> None:
    weights = write_small_regressor(tmp_path / "weights.pt")
    assert math.isnan(training_minutes(weights))
    (tmp_path / "log.csv").write_text("step,total,images_per_s\n30,1,8\n90,1,16\n")
    # Batches of 16: 30 steps at 8 images a second, then 60 at 16.
    assert training_minutes(weights) == pytest.approx((30 * 2 + 60) / 60)
