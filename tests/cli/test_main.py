"""The command as a shell sees it: exit codes and one line for a user's mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from facebench import __version__
from facebench.cli import main as entry
from facebench.cli.main import COMMANDS, group
from facebench.errors import FacebenchError


def facebench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facebench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = facebench("report", "nothing", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("facebench: nothing: neither a run folder nor an MLflow run's id")
    assert done.stderr.count("\n") == 1


def test_the_version(tmp_path: Path) -> None:
    assert facebench("--version", cwd=tmp_path).stdout.strip().endswith(__version__)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_examples(name: str) -> None:
    result = CliRunner().invoke(group, [name, "--help"])
    assert result.exit_code == 0 and f"facebench {name}" in result.output.split("Examples:")[1]


@pytest.mark.parametrize("words", ["figure", "models", "models import", "datasets", "synth"])
def test_a_list_of_commands_cuts_no_sentence(words: str) -> None:
    lines = CliRunner().invoke(group, [*words.split(), "--help"]).output.split("Commands:")[1]
    assert "..." not in lines and lines.rstrip().endswith(".")


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (KeyboardInterrupt(), 130),
        (FacebenchError("wrong", "do right"), 2),
        (MemoryError(), 2),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2),
        (ImportError("libcudnn.so.9: cannot open shared object file"), 3),
        (RuntimeError("something else"), 3),
    ],
)
def test_what_ends_a_command_decides_its_exit_code(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise raised

    monkeypatch.setattr(entry.group, "main", fail)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == code


def test_a_shell_completes_commands_and_options() -> None:
    def completed(words: str) -> list[str]:
        asked = {"COMP_WORDS": f"facebench {words}", "COMP_CWORD": str(len(words.split()))}
        environment = os.environ | asked | {"_FACEBENCH_COMPLETE": "bash_complete"}
        code = "import sys; sys.argv = ['facebench']; from facebench.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert not done.stderr
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert completed("comp") == ["compare"]
    assert completed("compare --form") == ["--format"]
    assert completed("figure heat") == ["heat-maps"]


def test_the_report_is_shown_in_the_users_browser(tmp_path: Path) -> None:
    page, seen = tmp_path / "report.html", tmp_path / "seen"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    program.chmod(0o700)
    code = "from facebench.cli.pipelines import show_page; show_page(Path(sys.argv[1]))"
    code = f"import sys; from pathlib import Path; {code}"
    for browser, shown in ((str(program), True), ("/none", False)):
        hidden = ("DISPLAY", "WAYLAND_DISPLAY")
        environment = {name: v for name, v in os.environ.items() if name not in hidden}
        done = subprocess.run(
            [sys.executable, "-c", code, str(page)],
            env=environment | {"BROWSER": browser, "PATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert seen.is_file() and seen.read_text().strip() == page.as_uri()
        assert shown or "No browser was found" in done.stderr
