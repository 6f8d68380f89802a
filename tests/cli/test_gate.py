"""`facebench gate` from the command line: exit codes, and what a CI service gets to read."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from example_runs import SCENES, example_record, example_run

from facebench.cli.gate import STEP_SUMMARY
from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.results.gate.baseline import Baseline
from facebench.results.run.folder import RunFolder

RULES = """
[[limit]]
max_mm = {limit}
[[regression]]
tolerance_mm = 0.02
[[coverage]]
subjects = 0.8
[[speed]]
min_ratio = 0.9
[[limit]]
max_mm = 9
methods = ["theirs"]
"""


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may themselves run in a CI job."""
    monkeypatch.delenv(STEP_SUMMARY, raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two runs, a baseline made of the better, and rules that both could keep to."""
    good = example_run(tmp_path / "good", "ours", 1.3)
    example_run(tmp_path / "poor", "ours", 1.5, seed=1)
    Baseline.of_run(good).write(tmp_path / "baseline.json")
    (tmp_path / "gates.toml").write_text(RULES.format(limit=2))
    return tmp_path


def gate(home: Path, run: str, *arguments: object, baseline: str = "baseline.json") -> Result:
    given = ["--rules", home / "gates.toml", "--baseline", home / baseline]
    return CliRunner().invoke(group, ["gate", *map(str, (home / run, *given, *arguments))])


def refusal(*words: object) -> str:
    result = CliRunner().invoke(group, ["gate", *map(str, words)])
    assert isinstance(result.exception, FacebenchError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_a_run_that_keeps_the_rules_exits_with_0(home: Path) -> None:
    result = gate(home, "good")
    assert result.exit_code == 0 and "gate passed: 10 pass, 1 skipped" in result.output
    assert gate(home, "good", baseline="poor").exit_code == 0


@pytest.mark.parametrize("baseline", ["baseline.json", "good"])
def test_a_worse_run_exits_with_1(home: Path, baseline: str) -> None:
    result = gate(home, "poor", baseline=baseline)
    assert result.exit_code == 1 and "gate failed: 7 pass, 3 fail, 1 skipped" in result.output


def test_what_has_no_answer_exits_with_3(home: Path) -> None:
    example_run(home / "other", protocol_digest="9" * 64)
    result = gate(home, "other")
    assert result.exit_code == 3 and "gate could not be evaluated" in result.output
    assert "protocol digest 01234567 / 99999999" in " ".join(result.output.split())


def test_a_half_finished_run_exits_with_3(home: Path) -> None:
    RunFolder(home / "half").begin(example_record(ended=""))
    result = gate(home, "half")
    said = " ".join(result.output.split())
    assert result.exit_code == 3 and "the run is unfinished: facebench micc --data data" in said


def test_json_holds_every_check(home: Path) -> None:
    values = json.loads(gate(home, "poor", "--json").output)
    assert (values["verdict"], values["exit_code"]) == ("fail", 1)
    regression = next(check for check in values["checks"] if check["kind"] == "regression")
    assert regression["interval"]["low"] > 0 and regression["bound"] == 0.02
    assert json.loads(gate(home, "good", "--json").output)["exit_code"] == 0


def test_junit_counts_what_it_holds(home: Path) -> None:
    gate(home, "poor", "--junit", home / "out" / "gate.xml")
    suite = ElementTree.parse(home / "out" / "gate.xml").getroot()[0]
    cases = list(suite)
    assert suite.get("tests") == str(len(cases)) == "11"
    for name in ("failure", "error", "skipped"):
        plural = name if name == "skipped" else f"{name}s"
        assert suite.get(plural) == str(len(suite.findall(f"testcase/{name}")))
    assert suite.get("failures") == "3" and suite.get("errors") == "0"
    messages = {failure.get("message") for failure in suite.iter("failure")}
    assert all(message and "wanted ≤ 0.020" in message for message in messages)


def test_junit_never_shows_an_empty_gate_as_passed(home: Path) -> None:
    (home / "gates.toml").write_text('[[limit]]\nmax_mm = 9\nmethods = ["theirs"]')
    assert gate(home, "good", "--junit", home / "gate.xml").exit_code == 3
    suite = ElementTree.parse(home / "gate.xml").getroot()[0]
    assert (suite.get("errors"), suite.get("skipped"), suite.get("tests")) == ("1", "1", "2")


def test_junit_survives_names_that_xml_cannot_hold(home: Path) -> None:
    named = {**example_record().arguments, "name": "a\x00b\x1b[1m <&>"}
    run = example_run(home / "evil", "ours", 1.3)
    record = run.record()
    (run.root / "run.json").write_text(
        json.dumps({**json.loads((run.root / "run.json").read_text()), "arguments": named})
    )
    assert run.record() != record
    assert gate(home, "evil", "--junit", home / "gate.xml").exit_code == 0
    assert ElementTree.parse(home / "gate.xml").getroot()[0].get("failures") == "0"


def test_the_summary_is_markdown(home: Path) -> None:
    gate(home, "poor", "--summary", home / "summary.md")
    text = (home / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("### gate failed: 7 pass, 3 fail, 1 skipped\n")
    assert text.count("| fail | regression |") == len(SCENES)


def test_a_ci_job_gets_it_by_itself(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = home / "job.md"
    job.write_text("what another step wrote\n")
    monkeypatch.setenv(STEP_SUMMARY, str(job))
    gate(home, "good")
    text = job.read_text(encoding="utf-8")
    assert text.startswith("what another step wrote\n### gate passed")
    gate(home, "good", "--summary", home / "own.md")
    assert job.read_text(encoding="utf-8") == text and (home / "own.md").is_file()


def test_the_baseline_is_written_and_held(home: Path) -> None:
    whole = example_run(home / "whole", "ours", 1.3, scenes=SCENES[:2])
    path = home / "new.json"
    words = ["gate", str(whole.root), "--baseline", str(path), "--update-baseline"]
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0 and "8 subjects in cooperative, indoor" in result.output
    (home / "gates.toml").write_text("[[regression]]\ntolerance_mm = 0")
    assert gate(home, "whole", baseline="new.json").exit_code == 0
    assert "covers only a part" in refusal(home / "good", *words[2:])


def test_wrong_input_is_one_line(home: Path) -> None:
    rules = ("--rules", home / "gates.toml")
    assert "neither a run folder" in refusal(home / "x", *rules)
    assert "did you mean" in refusal(home / "goood", *rules)
    assert "no such baseline" in refusal(home / "good", *rules, "--baseline", home / "x.json")
    assert "neither a run folder" in refusal(home / "good", *rules, "--baseline", home / "x")
    RunFolder(home / "half").begin(example_record(ended=""))
    assert "unfinished" in refusal(home / "good", *rules, "--baseline", home / "half")
    (home / "same").symlink_to("good")
    assert "both RUN and --baseline" in refusal(home / "good", *rules, "--baseline", home / "same")
    (home / "gates.toml").write_text("[[limit]]\nmax = 1")
    assert "unknown key 'max'" in refusal(home / "good", *rules)
    (home / "gates.toml").write_text("")
    assert "holds no rules" in refusal(home / "good", *rules)


def test_a_place_that_cannot_be_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = ("--rules", home / "gates.toml")
    inside = home / "gates.toml" / "gate.xml"
    assert "cannot be written" in refusal(home / "good", *rules, "--junit", inside)
    monkeypatch.setenv(STEP_SUMMARY, str(home))
    assert "cannot be written" in refusal(home / "good", *rules)


@pytest.mark.parametrize(
    "words", [[], ["--update-baseline"], ["--update-baseline", "--baseline", "run"]]
)
def test_wrong_usage_exits_with_2(home: Path, words: list[str]) -> None:
    result = CliRunner().invoke(group, ["gate", str(home / "good"), *words])
    assert result.exit_code == 2 and "Error: " in result.output
