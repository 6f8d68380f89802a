"""Progress bars of a benchmark run, on the error stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
    from ..bench.frames.chunks import ChunkRow


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
