"""The one progress bar, on the error stream, and what each kind of work shows on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ..errors import count_of

if TYPE_CHECKING:
    from ..bench.method.clip_faces import ChunkRow

Item = TypeVar("Item")
Advance = Callable[..., None]
"""`advance(number=1, note="")` moves a bar on; `total=` and `completed=` set it."""

LONG_S = 600.0
"""A training that takes longer says so off the bar as well, and how to bound it."""

_HIDDEN = ("step", "skipped", "images_per_s", "waiting")
"""Columns of a training log that are no loss terms."""


class _Note(ProgressColumn):
    """The note of a bar, cut where the terminal ends.

    Its column may shrink, unlike one of plain text: else all columns shrink alike, down to a
    single letter of what is counted.
    """

    def render(self, task: Task) -> Text:
        return Text(str(task.fields["note"]), no_wrap=True, overflow="ellipsis")


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[Progress]:
    """Bars that say what is counted, how much of it is done, what remains, and a note.

    Standard output stays free for tables and JSON. Off a terminal nothing moves: only the last
    state is written.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        _Note(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        yield progress


@contextmanager
def progress_bar(what: str, total: int, done: int = 0, quiet: bool = False) -> Iterator[Advance]:
    """One bar; gives the function that moves it.

    Args:
        what: is counted.
        total: of them.
        done: of them by an earlier command.
        quiet: shows nothing.
    """
    with progress_bars(quiet) as progress:
        task = progress.add_task(what, total=total, completed=done, note="")

        def advance(
            number: float = 1,
            note: str = "",
            total: float | None = None,
            completed: float | None = None,
        ) -> None:
            # A given count replaces the old one; rich would add the step to it.
            step = number if completed is None else None
            progress.update(task, advance=step, total=total, completed=completed, note=note)

        yield advance


def count_on_bar(items: Iterable[Item], what: str, total: int, quiet: bool) -> Iterator[Item]:
    """The same items, counted on a bar as they come."""
    with progress_bar(what, total, quiet=quiet) as advance:
        for item in items:
            yield item
            advance()


class BenchmarkProgress:
    """Counts clips and frames, then subjects; a `Listener` of `distributed.benchmark`."""

    def __init__(self, progress: Progress, clips: int, subjects: int) -> None:
        self._progress = progress
        self._frames = self._faces = 0
        # A method that comes as meshes reads none, and an empty bar would look stuck.
        self._clips = progress.add_task("clips   ", total=clips, note="", visible=clips > 0)
        self._subjects = progress.add_task("subjects", total=subjects, note="")

    def frames(self, row: ChunkRow) -> None:
        """Move the clips' bar when a clip ends, and the count of frames with every chunk."""
        self._frames += row.frames
        self._faces += row.faces
        note = f"{count_of(self._frames, 'frame')}, {count_of(self._faces, 'face')}"
        # Clips, not frames, are counted: how many a video has is known when it is read.
        self._progress.update(self._clips, advance=int(row.last), note=note)

    def subject(self, name: str) -> None:
        """Move the subjects' bar."""
        self._progress.update(self._subjects, advance=1, note=name)


@contextmanager
def benchmark_progress(clips: int, subjects: int, quiet: bool) -> Iterator[BenchmarkProgress]:
    """Bars for so many clips still to be read and subjects to be measured."""
    with progress_bars(quiet) as progress:
        yield BenchmarkProgress(progress, clips, subjects)


@contextmanager
def training_progress(
    done: int, last: int, batch: int, advice: str = ""
) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """A bar from step `done` to `last`; gives what takes lines of the training log.

    How long a long one takes is said with the second line of the log, for the first is slow: off
    a terminal the bar would say it at the end only.

    Args:
        done: steps by an earlier command.
        last: step.
        batch: photographs a step.
        advice: said beside the time where that is more than `LONG_S`.
    """
    lines = 0
    with progress_bar("step", last, done) as advance:

        def listen(row: Mapping[str, float]) -> None:
            nonlocal lines
            lines += 1
            left = (last - row["step"]) * batch / row["images_per_s"]
            if lines == 2 and left > LONG_S:
                speed = f"{row['images_per_s']:.3g} photographs/s"
                click.echo(f"About {duration(left)} to go, at {speed}. {advice}".rstrip(), err=True)
            advance(completed=int(row["step"]), note=loss_terms(row))

        yield listen


def duration(seconds: float) -> str:
    """Minutes, or tenths of hours or days, for a reader who decides whether to wait."""
    for name, length in (("days", 86400.0), ("hours", 3600.0)):
        if seconds >= 2 * length:
            return f"{round(seconds / length, 1):g} {name}"
    return count_of(round(seconds / 60), "minute")


def loss_terms(row: Mapping[str, float]) -> str:
    """The loss terms of a line of the log and the speed, in one short line."""
    shown = {name: value for name, value in row.items() if not name.startswith("gradient_")}
    terms = [f"{name} {value:.3g}" for name, value in shown.items() if name not in _HIDDEN]
    skipped = [f"skipped {row['skipped']:.0f}"] if row.get("skipped") else []
    return "  ".join([*terms, *skipped, f"{row['images_per_s']:.0f} images/s"])
