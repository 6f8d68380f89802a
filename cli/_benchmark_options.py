"""Options that commands measuring a set share: which part, how many processes, which protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]

NOTHING_SCORED = 3
"""Exit code when a run is done and has no score."""

PROTOCOLS = ("micc", "deng2019", "ganfit2019", "now", "fg2018", "metric", "correspondence")
"""The presets of `bench.protocol`; kept here so that help imports nothing."""

_NAMES = "separated by commas."


def measured_part(function: Command) -> Command:
    """Scenes, subjects and frames to measure, and the processes that do it."""
    options = (
        click.option("--scenes", default="cooperative,indoor,outdoor", show_default=True),
        click.option("--subjects", default="", help=f"Only these, {_NAMES}  [default: all]"),
        click.option("--exclude", default="", help=f"Subjects to leave out, {_NAMES}"),
        click.option(
            "--limit", type=click.IntRange(1), help="Read this many frames of each clip at most."
        ),
        click.option(
            "--workers", type=click.IntRange(1), help="Processes.  [default: one a GPU or CPU]"
        ),
        click.option("--cluster", is_flag=True, help="Use a running Ray cluster."),
    )
    return _with(options, function)


def protocol(function: Command) -> Command:
    """The ruler, and changes of it."""
    options = (
        click.option(
            "--protocol",
            default="micc",
            show_default=True,
            metavar="NAME|FILE.toml",
            help=f"One of {', '.join(PROTOCOLS)}, or a file.",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the protocol."
        ),
    )
    return _with(options, function)


def _with(options: tuple[Callable[[Command], Command], ...], function: Command) -> Command:
    for option in reversed(options):
        function = option(function)
    return function
