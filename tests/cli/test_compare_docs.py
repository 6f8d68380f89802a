"""Every command, rule and example of docs/compare.md and docs/gates.md runs."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from example_runs import SCENES, SUBJECTS, example_row, example_run, keep_rows

from facebench.bench.protocol.record import preset
from facebench.cli.main import group
from facebench.results.gate.rules import KINDS, kind_of, read_rules

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCKS = [
    block
    for page in ("compare.md", "gates.md")
    for block in re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.M | re.S)
]
COMMANDS = [
    line
    for _, text in BLOCKS
    for line in text.splitlines()
    if line.startswith("facebench ") and line != "facebench ui"  # serves: tests/cli/test_ui.py
]
EXIT_CODES = {"facebench gate runs/ours-short": 1, "facebench compare runs/ours runs/crop-80": 1}
"""Where it is not 0; refused input is an exception here."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of the pages with made-up errors, and the pages' rules and baseline."""
    root = tmp_path_factory.mktemp("docs")
    protocol = preset("micc").with_setting("crop.radius_mm", "80")
    other = {"protocol": protocol.name, "protocol_digest": protocol.digest}
    for name, error in {"mean-face": 1.7, "ours-short": 1.6, "ours": 1.3, "crop-80": 1.3}.items():
        run = example_run(root / "runs" / name, name, **(other if name == "crop-80" else {}))
        rows = [
            replace(example_row(subject, scene, error + number / 50), completeness=0.97)
            for scene in SCENES
            for number, subject in enumerate(SUBJECTS)
        ]
        keep_rows(run, rows)
    (root / "gates.toml").write_text(next(text for kind, text in BLOCKS if kind == "toml"))
    return root


def ran(home: Path, line: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        return CliRunner().invoke(group, shlex.split(line)[1:]).exit_code


def test_every_kind_of_rule_is_shown(home: Path) -> None:
    assert {kind_of(rule) for rule in read_rules(home / "gates.toml")} == set(KINDS)


def test_the_commands_run_in_order(home: Path) -> None:
    assert len(COMMANDS) >= 9
    update = [line for line in COMMANDS if "--update-baseline" in line]
    for line in update + [line for line in COMMANDS if line not in update]:
        expected = next((c for start, c in EXIT_CODES.items() if line.startswith(start)), 0)
        assert ran(home, line) == expected, line
    assert (home / "gate.xml").is_file() and (home / "table.tex").is_file()


def test_the_example_runs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = (text for kind, text in BLOCKS if kind == "python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        exec(example, {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(SCENES)
