"""The pages of `docs/`: their code blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from facebench.cli.main import group

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SHELL = {"sh", ""}
NOT_THERE = re.compile(r"(File|Directory|Path) '.*' does not exist")
PROGRAMS = {"facebench", "make", "python", "python3", "pip", "pytest", ".ci/gate"}


@dataclass(frozen=True)
class Command:
    """A line of a shell block: its page, and its words without variables, redirection, comment."""

    page: str
    language: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def pages() -> list[str]:
    """Paths of all pages, from `docs/`."""
    return sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each code block of a page."""
    text = (DOCS / page).read_text("utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page: str) -> Iterator[Command]:
    """Commands of a page: all lines of `sh` blocks; those that are one of blocks without a name."""
    for language, text in blocks(page):
        if language not in SHELL:
            continue
        for line in text.replace("\\\n", " ").splitlines():
            if language or re.match(r"([A-Z_]+=\S+ )*(facebench|python3?|pytest) [^:]", line):
                yield Command(page, language, _words(line))


def _words(line: str) -> tuple[str, ...]:
    words = shlex.split(line.partition(" > ")[0], comments=True)
    first = next(n for n, word in enumerate(words) if not re.fullmatch(r"[A-Z_]+=.*", word))
    return tuple(words[first:])


def parse_command(words: tuple[str, ...]) -> None:
    """Let the command's own parser read its arguments, down to the last group, and call nothing."""
    command: click.Command = group
    context, rest = click.Context(group, info_name="facebench"), list(words[1:])
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        if not rest and isinstance(found, click.Group) and found.invoke_without_command:
            return
        if isinstance(found, click.Group) and rest:
            context, command = click.Context(found, context, info_name=name), found
            continue
        command = found
        break
    try:
        command.make_context(name, rest, parent=context)
    except click.BadParameter as error:
        if not NOT_THERE.search(error.message):
            raise
