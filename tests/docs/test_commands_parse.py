"""No command in the documentation is stale: it exists, and so do the options it is given."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from doc_pages import PROGRAMS, ROOT, Command, commands, pages, parse_command

ALL = [command for page in pages() for command in commands(page)]
KIND = "npz"
"""For `models import KIND`, where the page tells of all."""


def named(program: str) -> list[Command]:
    return [command for command in ALL if command.words[0].rpartition("/")[2] == program]


@pytest.mark.parametrize("command", named("facebench"), ids=str)
def test_a_command_parses(command: Command) -> None:
    parse_command(tuple(KIND if word == "KIND" else word for word in command.words))


def test_a_stale_option_would_be_told() -> None:
    with pytest.raises(click.NoSuchOption):
        parse_command(("facebench", "micc", "--data", "data", "--out", "runs", "--methods", "ours"))
    with pytest.raises(click.UsageError, match="No command"):
        parse_command(("facebench", "measure"))
    with pytest.raises(click.BadParameter):
        parse_command(("facebench", "synth", "micc", "--out", "data", "--subjects", "many"))


@pytest.mark.parametrize("command", named("python") + named("pytest"), ids=str)
def test_a_script_is_there_and_has_the_options(command: Command) -> None:
    script = next(word for word in command.words if word.endswith(".py"))
    text = (ROOT / script).read_text("utf-8")
    known = set(re.findall(r'"(--[a-z-]+)"', text))
    assert {word for word in command.words if word.startswith("--")} <= known


def test_a_target_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = {word for command in named("make") for word in command.words[1:]}
    assert asked and asked <= targets


def test_every_line_of_a_shell_block_is_a_command_that_is_checked() -> None:
    for command in ALL:
        program = command.words[0]
        assert program in PROGRAMS or Path(program).name in PROGRAMS, str(command)
    assert len(named("facebench")) > 50
