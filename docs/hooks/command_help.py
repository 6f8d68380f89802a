"""The page of the commands: every command's `--help`, as it is printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from facebench.cli.main import group

PLACE = "<!-- every command's help -->"
WIDTH = 92


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the help texts where the page asks for them."""
    return markdown.replace(PLACE, "\n\n".join(_sections())) if PLACE in markdown else markdown


def _sections() -> Iterator[str]:
    for words, command in commands():
        text = command.get_help(_context(words, command))
        yield f"## {' '.join(words)}\n\n```text\n{text}\n```"


def commands(
    above: click.Group = group, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words behind `facebench`, those below a group after it."""
    context = click.Context(above)
    for name in above.list_commands(context):
        command = above.get_command(context, name)
        assert command is not None
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))


def _context(words: tuple[str, ...], command: click.Command) -> click.Context:
    root = click.Context(group, info_name="facebench", **group.context_settings)
    return click.Context(command, parent=root, info_name=" ".join(words), max_content_width=WIDTH)
