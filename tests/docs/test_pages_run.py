"""The commands of the pages that tell no results of their own run, on a smaller set."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from doc_pages import Command, blocks, commands
from micc_sets import label_scans

from facebench.cli.main import group

PAGES = ("index.md", "tutorial.md", "methods.md", "protocol.md", "faq.md")
ELSEWHERE = {"ui"}
"""Serves until Ctrl-C: `tests/cli/test_ui.py`."""
COMMANDS = [
    one
    for page in PAGES
    for one in commands(page)
    if one.words[0] == "facebench" and one.words[1] not in ELSEWHERE
]
NAMED = {"FACE": "face.obj", "SCAN": "scan.ply", "DIR": "data", "RUN": "runs/crop-80"}
"""What stands for the reader's own."""
SMALLER = {
    "--subjects 6": "--subjects 2",
    "--frames 6": "--frames 1",
    "--subjects 200": "--subjects 8",
    "--steps 20": "--steps 1",
}
EXIT_CODES = {"gate runs/mean-face": 3}
"""Where it is not 0: of two people a gate has no answer, of the page's six it is 1."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the pages' commands run in their order."""
    root = tmp_path_factory.mktemp("docs")
    (root / "gates.toml").write_text(
        next(text for language, text in blocks("tutorial.md") if language == "toml")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        exec(next(text for language, text in blocks("evaluate.md") if language == "python"), {})
        settings = CliRunner().invoke(group, ["protocols", "metric"]).output
        (root / "mine.toml").write_text(settings)  # which protocol.md redirects there
        yield root


def smaller(command: Command) -> str:
    line = shlex.join(NAMED.get(word, word) for word in command.words[1:])
    for size, less in SMALLER.items():
        line = re.sub(rf"{size}\b", less, line)
    if line.startswith("evaluate ") and "-landmarks" not in line:
        # `tests/cli/test_evaluate_docs.py` searches for the pose of these.
        line += " --prediction-landmarks face.txt --scan-landmarks scan.txt"
    # Faces as their files have them: half the time of a measurement.
    measures = line.startswith(("micc ", "evaluate "))
    return f"{line} --set points.longest_edge_mm=inf" if measures else line


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_runs(home: Path, command: Command) -> None:
    line = smaller(command)
    expected = next((code for start, code in EXIT_CODES.items() if line.startswith(start)), 0)
    result = CliRunner().invoke(group, shlex.split(line), auto_envvar_prefix="FACEBENCH")
    assert result.exit_code == expected, result.output
    if line.startswith("synth micc "):
        label_scans(home / "data")


def test_they_wrote_what_the_tutorial_names(home: Path) -> None:
    for name in ("runs/ours/report.html", "training/fits.png", "training/weights.pt"):
        assert (home / name).stat().st_size > 1000


def test_each_smaller_size_is_on_a_page() -> None:
    lines = [shlex.join(command.words) for command in COMMANDS]
    assert all(any(size in line for line in lines) for size in SMALLER)
