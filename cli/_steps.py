"""Commands made of commands: each step is what a user would type, and is shown as that."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click


def run_step(arguments: Sequence[str], allowed: Sequence[int] = (0,)) -> int:
    """Run `facebench` with some arguments; its status.

    Args:
        arguments: without the leading `facebench`.
        allowed: statuses to go on after.

    Raises:
        click.exceptions.Exit: with the status of a step that ended otherwise.
    """
    from .main import group

    click.secho(f"\n$ facebench {shlex.join(arguments)}", bold=True, err=True)
    returned = group.main(list(arguments), standalone_mode=False)
    status = returned if isinstance(returned, int) else 0
    if status not in allowed:
        raise click.exceptions.Exit(status)
    return status
