"""The command group: what it lists and how it answers a wrong name."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from facebench.cli.main import COMMANDS, group


def test_help_lists_every_command() -> None:
    output = CliRunner().invoke(group, ["--help"]).output
    assert all(name in output for name in COMMANDS)


@pytest.mark.parametrize(("typed", "meant"), [("mcic", "micc"), ("trian", "train")])
def test_an_unknown_command_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    result = CliRunner().invoke(group, [typed])
    assert result.exit_code == 2
    assert f"Did you mean '{meant}'" in result.output
