"""A progress bar on the error stream for things that come one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

Item = TypeVar("Item")


def counted(items: Iterable[Item], what: str, total: int, quiet: bool) -> Iterator[Item]:
    """The same items, counted on a bar as they come."""
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        yield from progress.track(items, total=total, description=what)
