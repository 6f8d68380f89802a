"""The example files for CI services run commands that exist, and keep what those write."""

from __future__ import annotations

import shlex
from typing import Any

import click
import pytest
import yaml
from doc_pages import DOCS, parse_command

from facebench.cli.main import group

FOLDER = DOCS / "ci"


def content(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    return read


def github() -> tuple[list[str], list[str]]:
    """Shell lines, and the files kept."""
    (job,) = content("github-actions.yml")["jobs"].values()
    lines = [line for step in job["steps"] for line in step.get("run", "").splitlines()]
    (kept,) = [step["with"]["path"] for step in job["steps"] if "upload" in step.get("uses", "")]
    return lines, kept.split()


def gitlab() -> tuple[list[str], list[str]]:
    """Shell lines, and the files kept."""
    (job,) = content("gitlab-ci.yml").values()
    kept = job["artifacts"]
    return job["before_script"] + job["script"], [*kept["paths"], kept["reports"]["junit"]]


@pytest.mark.parametrize("service", [github, gitlab])
def test_every_command_has_these_options_and_the_gate_is_one(service: Any) -> None:
    lines, kept = service()
    words = [shlex.split(line) for line in lines if line.startswith("facebench ")]
    assert [command[1] for command in words] == ["synth", "micc", "gate"]
    for command in words:
        parse_command(tuple(command))
    gate = group.get_command(click.Context(group), "gate")
    assert gate is not None
    measured = words[1][words[1].index("--out") + 1]
    values = gate.make_context("gate", words[2][2:]).params
    assert str(values["run"]) == measured
    written = {str(values[name]) for name in ("junit", "summary") if values[name]}
    assert set(kept) == {f"{measured}/report.html"} | written


@pytest.mark.parametrize("service", [github, gitlab])
def test_the_system_libraries_are_those_that_the_set_up_installs(service: Any) -> None:
    (install,) = [line for line in service()[0] if "apt-get install" in line]
    wanted = {word for word in install.split() if word.startswith("lib")}
    set_up = (DOCS.parent / ".ci" / "set-up").read_text("utf-8")
    (listed,) = [line for line in set_up.splitlines() if line.strip().startswith("packages=")]
    assert wanted == set(listed.split('"')[1].split())
