"""The progress bar of a training: steps, loss terms and speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_HIDDEN = ("step", "skipped", "images_per_s", "waiting")


@contextmanager
def training_progress(done: int, last: int) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """A bar on standard error from step `done` to `last`; gives what takes lines of the log."""
    columns = (
        TextColumn("step"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[terms]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("train", total=last, completed=done, terms="")

        def listen(row: Mapping[str, float]) -> None:
            progress.update(task, completed=int(row["step"]), terms=loss_terms(row))

        yield listen


def loss_terms(row: Mapping[str, float]) -> str:
    """The loss terms of a line of the log and the speed, in one short line."""
    shown = {name: value for name, value in row.items() if not name.startswith("gradient_")}
    terms = [f"{name} {value:.3g}" for name, value in shown.items() if name not in _HIDDEN]
    skipped = [f"skipped {row['skipped']:.0f}"] if row.get("skipped") else []
    return "  ".join([*terms, *skipped, f"{row['images_per_s']:.0f} images/s"])
