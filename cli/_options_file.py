"""`--options FILE.toml`: options of a command out of a file; the command line wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import FacebenchError, did_you_mean
from ..recon.files.text import read_toml

_LIST = ","


def _apply(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Make the file's values the defaults of the options that are parsed after it."""
    if path is not None and not context.resilient_parsing:
        context.default_map = read_options(path, context.command)


options_file = click.option(
    "--options",
    type=click.Path(dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_apply,
    metavar="FILE.toml",
    help="Take options from a file, named as here; the command line and the environment win.",
)
"""Decorator of a command that may take its options from a file."""


def read_options(path: Path, command: click.Command) -> dict[str, Any]:
    """Values of a TOML file by the names of a command's parameters.

    Keys are the options' names without dashes before them: `prediction-unit = "cm"`, `set =
    ["crop.radius_mm=80"]`. Values are parsed like words of the command line.

    Raises:
        FacebenchError: the file cannot be read, or a key or value is not one of the command's.
    """
    known = _by_key(command)
    values: dict[str, Any] = {}
    for key, value in _read(path).items():
        name = key.replace("_", "-")
        if name not in known:
            raise FacebenchError(f"{path}: no option '{key}'", did_you_mean(name, sorted(known)))
        values[str(known[name].name)] = _as_words(value, known[name], f"{path}: {key}")
    return values


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except FileNotFoundError:
        raise FacebenchError(f"{path}: no such file", "give a TOML file of options") from None
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as TOML: {error}") from error


def _by_key(command: click.Command) -> dict[str, click.Option]:
    """Options by what they are called on the command line, all names of each."""
    options = [item for item in command.params if isinstance(item, click.Option)]
    return {
        name.lstrip("-"): option
        for option in options
        for name in (*option.opts, *option.secondary_opts)
        if option.name != "options"
    }


def _as_words(value: Any, option: click.Option, where: str) -> Any:
    """A value as the command line would have it: text, or a list of texts for what is repeated."""
    if isinstance(value, dict):
        raise FacebenchError(f"{where} is a table", "write one option a line, KEY = VALUE")
    if option.is_flag and not isinstance(value, bool):
        raise FacebenchError(f"{where} is {value!r}", "a flag is true or false")
    if isinstance(value, bool):
        return value if option.is_flag else str(value).lower()
    words = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return words if option.multiple else _LIST.join(words)
