"""Commands in the pages: the help of each as it is printed, and options in one piece."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click

from facebench.cli.main import group

PLACE = "<!-- every command's help -->"
WIDTH = 92

CODE = re.compile(r"<code\b[^>]*>.*?</code>", re.DOTALL)
# No tag, which may hold hyphens too, and no hyphen between two words.
OPTION = re.compile(r"<[^>]*>|(?<![\w-])--?[a-z][\w-]*")


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


def on_page_content(html: str, **_: Any) -> str:
    """Mark the options in a page's code: browsers break lines behind any hyphen, but `site.css`
    keeps what is marked on one line."""
    return CODE.sub(lambda code: OPTION.sub(_marked, code[0]), html)


def _marked(found: re.Match[str]) -> str:
    text = found[0]
    return text if text.startswith("<") else f'<span class="whole">{text}</span>'
