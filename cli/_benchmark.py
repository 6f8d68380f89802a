"""What commands that measure a set share: options of the part and the ruler, progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from ..bench.method.clip_faces import ChunkRow


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


class BenchmarkProgress:
    """Counts clips and frames, then subjects; a `Listener` of `distributed.benchmark`."""

    def __init__(self, progress: Progress, clips: int, subjects: int) -> None:
        self._progress = progress
        self._frames = self._faces = 0
        self._clips = progress.add_task("clips", total=clips, note="")
        self._subjects = progress.add_task("subjects", total=subjects, note="")

    def frames(self, row: ChunkRow) -> None:
        """Move the clips' bar when a clip ends, and the count of frames with every chunk."""
        self._frames += row.frames
        self._faces += row.faces
        note = f"{self._frames} frames, {self._faces} faces"
        self._progress.update(self._clips, advance=int(row.last), note=note)

    def subject(self, name: str) -> None:
        """Move the subjects' bar."""
        self._progress.update(self._subjects, advance=1, note=name)


@contextmanager
def benchmark_progress(clips: int, subjects: int, quiet: bool) -> Iterator[BenchmarkProgress]:
    """Bars for so many clips still to be read and subjects to be measured."""
    columns = (
        TextColumn("{task.description:8s}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        yield BenchmarkProgress(progress, clips, subjects)
