"""What was asked of a command, as a shell line and as plain values for a record."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource


def command_line(context: click.Context) -> str:
    """The shell line that gives the same command again, wherever its options came from."""
    words = ["facebench", context.info_name or ""]
    given = {name for name in context.params if _is_given(context, name)}
    for parameter in context.command.params:
        if isinstance(parameter, click.Option) and parameter.name in given:
            words += _words(parameter.opts[0], context.params[parameter.name])
        elif isinstance(parameter, click.Argument):
            words += _several(context.params[parameter.name or ""])
    return shlex.join(words)


def given_options(context: click.Context) -> dict[str, Any]:
    """Options that were given: on the command line, in the environment or in a file."""
    return {n: v for n, v in plain_options(context).items() if _is_given(context, n)}


def plain_options(context: click.Context) -> dict[str, Any]:
    """Every option as resolved, as values that JSON knows."""
    return {name: _plain(value) for name, value in context.params.items()}


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _words(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag] if value else []
    return [word for item in _several(value) for word in (flag, item)]


def _several(value: Any) -> list[str]:
    values = value if isinstance(value, tuple) else (value,)
    return [str(item) for item in values]


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
