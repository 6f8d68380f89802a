"""`facebench compare` from the command line, and what it says to wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from example_runs import SCENES, example_record, example_run

from facebench.cli.compare import FORMS
from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.results import compare as forms
from facebench.results.run.folder import RunFolder


def compare(*arguments: object) -> Result:
    return CliRunner().invoke(group, ["compare", *map(str, arguments)])


def refusal(*arguments: object) -> str:
    result = compare(*arguments)
    assert isinstance(result.exception, FacebenchError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    ours = example_run(tmp_path / "ours", "ours", 1.36).root
    return [example_run(tmp_path / "mean", "mean-face", 1.9, seed=1).root, ours]


def test_the_default_is_a_table_on_the_terminal(runs: list[Path]) -> None:
    output = compare(*runs).output
    assert "protocol micc (01234567)" in output and "mean-face" in output
    assert "\x1b" not in output and "published" not in output


def test_the_forms_of_the_option_are_those_there_are() -> None:
    assert set(FORMS) == set(forms.FORMS)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_gets_what_would_be_printed(runs: list[Path], tmp_path: Path, form: str) -> None:
    out = tmp_path / "sub" / "table"
    printed = compare(*runs, "--published", "--format", form).output
    assert compare(*runs, "--published", "--format", form, "--out", out).output.strip() == str(out)
    assert out.read_text(encoding="utf-8") == printed and "Genova" in printed


def test_the_verdict_and_other_peoples_numbers_are_printed(
    runs: list[Path], tmp_path: Path
) -> None:
    paper = tmp_path / "paper.csv"
    paper.write_text("method,title,scene,mean_mm\nann,Ann 2024,indoor,1.25\n")
    output = compare(*runs, "--import", paper, "--regions").output
    assert output.splitlines()[-3].startswith("ours is better than mean-face in every scene.")
    assert "Ann 2024" in output and "imported" in output and "paper.csv" in output
    assert output.count("Error by part of the face") == len(SCENES)
    paper.write_text("method,scene,mean_mm\nann,indoor,-1\n")
    result = compare(*runs, "--import", paper)
    assert isinstance(result.exception, FacebenchError)
    assert "paper.csv line 2: mean_mm is -1" in str(result.exception)


def test_no_part_of_the_face_is_a_line_and_no_empty_table(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of meshes that came without landmarks."""
    monkeypatch.setattr("facebench.results.compare.comparison.errors_by_part", lambda *_: {})
    result = compare(*runs, "--regions", "--format", "latex")
    assert "no run has errors by part of the face" in result.stderr
    assert "Error by part of the face" not in result.stdout


def test_all_pairs_and_the_margin(runs: list[Path], tmp_path: Path) -> None:
    third = example_run(tmp_path / "third", "third", 1.5, seed=2).root
    options = ("--all-pairs", "--tie-mm", "9", "--format", "json")
    pairs = json.loads(compare(*runs, third, *options).output)["groups"][0]["pairs"]
    assert len(pairs) == 9 and all(pair["ties"] == pair["shared_subjects"] for pair in pairs)


def test_two_protocols_are_refused_or_split(runs: list[Path], tmp_path: Path) -> None:
    other = example_run(tmp_path / "other", protocol="metric", protocol_digest="9" * 64).root
    said = refusal(*runs, other)
    assert "protocol micc / metric" in said and "--split" in said
    output = compare(*runs, other, "--split").output
    assert output.count("Error in mm") == 2 and "Not in one table" in output


def test_wrong_places_are_answered(runs: list[Path], tmp_path: Path) -> None:
    assert f"did you mean '{runs[1]}'?" in refusal(runs[0], tmp_path / "our")
    assert "it holds runs: mean, ours" in refusal(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "is not a run folder" in refusal(tmp_path / "empty")
    assert "given twice" in refusal(runs[0], runs[0])


def test_the_record_of_another_command_is_told(tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "run.json").write_text('{"command": "facebench evaluate"}')
    assert "not the record of a benchmark" in refusal(tmp_path / "pairs")
    (tmp_path / "pairs" / "run.json").write_text("[1, 2]")
    assert "holds no table" in refusal(tmp_path / "pairs")
    (tmp_path / "pairs" / "run.json").write_text("{")
    assert "cannot be read" in refusal(tmp_path / "pairs")


def test_a_half_finished_run_names_its_command(tmp_path: Path) -> None:
    RunFolder(tmp_path / "half").begin(example_record(ended=""))
    assert "continue it with: facebench micc --data data" in refusal(tmp_path / "half")
    # Of a copy its command would continue the folder that it was copied from.
    values = {"command": "facebench micc --out 'runs/a b'", "arguments": {"out": "runs/a b"}}
    RunFolder(tmp_path / "copy").begin(example_record(ended="", **values))
    assert f"micc --out {tmp_path / 'copy'}" in refusal(tmp_path / "copy")


def test_an_id_without_a_store_creates_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert "there is no database" in refusal("0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal(runs[0], "--out", tmp_path / "file" / "table")
