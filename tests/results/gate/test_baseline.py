"""A baseline on disk: what is kept, what is refused, and from which runs it may be made."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from example_runs import SCENES, SUBJECTS, example_row, example_run, example_summary

from facebench.errors import FacebenchError
from facebench.results.gate.baseline import Baseline, uncommitted, update_baseline
from facebench.results.run.folder import RunFolder


def whole_run(root: Path, **changes: object) -> RunFolder:
    """Every subject scored in every scene."""
    run = example_run(root, **changes)
    rows = [example_row(name, s, 1 + i / 7) for s in SCENES for i, name in enumerate(SUBJECTS)]
    run.scores.write(rows)
    run.write_summary({scene: example_summary(rows, scene) for scene in SCENES})
    return run


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with one committed file."""
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    (folder / "code.py").write_text("one")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    return folder


def git(folder: Path, *words: str) -> None:
    name = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *name, *words], check=True, capture_output=True)


def test_a_written_baseline_comes_back(tmp_path: Path) -> None:
    baseline = Baseline.of_run(whole_run(tmp_path / "run"))
    baseline.write(tmp_path / "b.json")
    again = Baseline.read(tmp_path / "b.json")
    assert replace(again, errors_mm={}) == replace(baseline, errors_mm={})
    values = json.loads((tmp_path / "b.json").read_text())
    del values["shares"]
    (tmp_path / "older.json").write_text(json.dumps(values))
    assert Baseline.read(tmp_path / "older.json").shares == {}
    for scene in SCENES:
        assert again.errors_mm[scene] == pytest.approx(baseline.errors_mm[scene], abs=5e-7)


def test_it_is_called_as_tables_call_the_run(tmp_path: Path) -> None:
    run = whole_run(tmp_path / "run")
    values = json.loads((tmp_path / "run" / "run.json").read_text())
    values["arguments"]["name"] = "mine"
    (tmp_path / "run" / "run.json").write_text(json.dumps(values))
    assert Baseline.of_run(run).method == "mine"


def test_it_is_small_and_changes_line_by_line(tmp_path: Path) -> None:
    whole_run(tmp_path / "run")
    Baseline.of_run(whole_run(tmp_path / "run")).write(tmp_path / "b.json")
    text = (tmp_path / "b.json").read_text()
    assert len(text) < 200 * len(SUBJECTS) * len(SCENES)
    assert text.count('"subject_03": 1.285714') == len(SCENES)


def test_speed_that_is_not_known_stays_unknown(tmp_path: Path) -> None:
    baseline = Baseline.of_run(whole_run(tmp_path / "run"))
    replace(baseline, frames_per_second=math.nan).write(tmp_path / "b.json")
    assert math.isnan(Baseline.read(tmp_path / "b.json").frames_per_second)


def test_failed_subjects_are_not_in_it(tmp_path: Path) -> None:
    baseline = Baseline.of_run(example_run(tmp_path / "run"))
    assert [len(baseline.errors_mm[scene]) for scene in SCENES] == [8, 8, 7]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "is not a baseline"),
        ("{}", "is not a baseline"),
        ('{"facebench_baseline": 2}', "is not a baseline of this version"),
        ('{"facebench_baseline": 1}', "is damaged"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(FacebenchError, match=said):
        Baseline.read(tmp_path / "b.json")
    with pytest.raises(FacebenchError, match="no such baseline"):
        Baseline.read(tmp_path / "c.json")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "null", '"much"', "[]"])
def test_an_error_that_is_not_a_number_is_refused(tmp_path: Path, value: str) -> None:
    """A pairing would leave it out in silence."""
    path = tmp_path / "b.json"
    Baseline.of_run(whole_run(tmp_path / "run")).write(path)
    path.write_text(path.read_text().replace("1.285714", value))
    with pytest.raises(FacebenchError, match="is damaged"):
        Baseline.read(path)


def test_a_clean_whole_run_becomes_the_baseline(tmp_path: Path, checkout: Path) -> None:
    path = checkout / "sub" / "baseline.json"
    kept = update_baseline(whole_run(tmp_path / "run"), path)
    assert Baseline.read(path).basis == kept.basis
    assert json.loads(path.read_text())["commit"] == "d" * 40


def test_the_file_itself_may_have_changed(tmp_path: Path, checkout: Path) -> None:
    path = checkout / "sub" / "baseline.json"
    path.write_text("{}")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "two")
    path.write_text("changed")
    update_baseline(whole_run(tmp_path / "run"), path)
    assert uncommitted(path) == []


def test_a_dirty_tree_is_refused(tmp_path: Path, checkout: Path) -> None:
    (checkout / "code.py").write_text("two")
    path = checkout / "sub" / "baseline.json"
    with pytest.raises(FacebenchError, match=r"dirty: code\.py is not committed"):
        update_baseline(whole_run(tmp_path / "run"), path)
    assert not path.exists()


def test_a_run_of_changed_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="changed code on top of commit dddddddd"):
        update_baseline(whole_run(tmp_path / "run", dirty=True), tmp_path / "b.json")


def test_partial_coverage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="1 of 24 have no score, subject_08/outdoor"):
        update_baseline(example_run(tmp_path / "run"), tmp_path / "b.json")
    more = (*SUBJECTS, "subject_99")
    with pytest.raises(FacebenchError, match=r"3 of 27 .*subject_99/cooperative"):
        update_baseline(whole_run(tmp_path / "more", subjects=more), tmp_path / "b.json")
    with pytest.raises(FacebenchError, match="was asked for nothing"):
        update_baseline(example_run(tmp_path / "none", scenes=()), tmp_path / "b.json")
    with pytest.raises(FacebenchError, match="is unfinished: continue it with"):
        update_baseline(whole_run(tmp_path / "half", ended=""), tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()
