"""The training loop and its folder: checkpoint, weights and log, and resuming from them."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import torch

from ...errors import FacebenchError, error_line
from ..files.text import read_text
from ..files.writing import atomic_write, explain_write_errors, lock_folder
from ..network.tensor_files import read_content, recipe_in, write_content
from ..recipes.files import AnyRecipe
from ..regressors.checkpoint import describe_weights, restore
from .batches import BatchSource, prefetch
from .optimise import NonFiniteGuard, Row, StepReport, Trainable

Item = TypeVar("Item")
Validate = Callable[[], Row]
Finish = Callable[[], None]
Show = Callable[[Path], None]
Listener = Callable[[Row], None]


@dataclass(frozen=True)
class Loop:
    """One worker's share of a training.

    Only the first worker writes to the folder, validates and tells its listener. Whatever is made
    of the learner is made of its averaged weights, where the recipe asks for them.

    Attributes:
        trainer: takes the steps.
        source: gives this worker's part of each batch.
        folder: where state and log are kept, shared by all workers.
        validate: measures the trainable, or None.
        finish: leaves what is for use, once the last step is done.
        listen: is told every line of the log.
        show: draws a picture of how far it is into a file, or None.
        readers: how many batches are prepared at a time.
    """

    trainer: Trainable[Any]
    source: BatchSource
    folder: TrainingFolder
    validate: Validate | None
    finish: Finish
    listen: Listener
    show: Show | None = None
    readers: int = 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this worker writes."""
        return self.trainer.group.rank == 0

    def resume(self) -> int:
        """Take up the newest checkpoint of the folder, if any; the step it stands at."""
        if self.folder.checkpoint.is_file():
            # Every worker reads it for itself: weights sent by one would leave optimisers to
            # differ.
            restore_state(self.folder.checkpoint, self.trainer, len(self.source.shards))
        if self.is_rank_zero:
            # A process that was killed between two checkpoints logged steps which are now taken
            # again.
            self.folder.rewind(self.trainer.step)
        return self.trainer.step

    def run(self) -> None:
        """Train to the recipe's last step.

        Raises:
            DivergedError: too many steps in a row were not finite.
        """
        times = self.trainer.recipe.training
        meter = LossMeter()
        rank = self.trainer.group.rank
        guard = NonFiniteGuard(times.skipped_in_a_row, self.folder.path, rank)
        batches = prefetch(self.source, self.trainer.step, times.steps, self.readers)
        # Closed on every way out, or a reader of the next batch would hold the process open.
        with closing(batches):
            for truth in meter.timed(batches):
                report = self.trainer.training_step(truth)
                meter.add(report)
                # On each worker: all have left the same steps out, so all stop at the same one.
                guard.check(report, truth, self.trainer.step)
                if self.is_rank_zero:
                    self._keep(meter, times.steps)

    def conclude(self) -> None:
        """Leave what is for use."""
        with self.trainer.descent.averaged():
            self.finish()

    def _keep(self, meter: LossMeter, last: int) -> None:
        times, step = self.trainer.recipe.training, self.trainer.step
        done = step == last
        # The last step always has its line, whatever the intervals are.
        if done or step % times.log_every == 0:
            self._log(meter.row(step, self.trainer.skipped, self.trainer.group.count))
        if self.validate and (done or step % times.validate_every == 0):
            with self.trainer.descent.averaged():
                self.folder.append(self.folder.validation, self.validate())
        if self.show and is_picture_step(step, times.log_every):
            with self.trainer.descent.averaged():
                self.show(self.folder.picture(step))
        # Last, so that what the checkpoint knows of is already in the tables beside it.
        if done or step % times.checkpoint_every == 0:
            self.save()

    def _log(self, row: Row) -> None:
        self.folder.append(self.folder.log, row)
        self.listen(row)

    def save(self) -> None:
        """Write a checkpoint of the step the trainer stands at."""
        save_state(self.folder.checkpoint, self.trainer, len(self.source.shards))


def is_picture_step(step: int, log_every: int) -> bool:
    """Whether a step is shown: after 1, 2, 4, 8 ... lines of the log, when the most changes."""
    # A power of two has one bit, and none in common with the number before it.
    lines, between = divmod(step, log_every)
    return between == 0 and lines > 0 and lines & (lines - 1) == 0


class TrainingFolder:
    """Where a training keeps what it has.

    Attributes:
        checkpoint: the whole state, to resume from.
        weights: those for inference, written at the end.
        fits: pictures of photographs and their faces, written at the end.
        labels: folder of the faces fitted to the photographs, where a method learns from such.
        log: loss terms and speed, one line every few steps.
        validation: what was measured on faces that are not trained on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint, self.weights = path / "checkpoint.pt", path / "weights.pt"
        self.fits, self.labels = path / "fits.png", path / "labels"
        self.log, self.validation = path / "log.csv", path / "validation.csv"

    def locked(self) -> AbstractContextManager[None]:
        """Keep other commands off the folder while this one trains in it: see `lock_folder`."""
        return lock_folder(self.path, "train", ("checkpoint.pt", "log.csv", "labels/plan.json"))

    def picture(self, step: int) -> Path:
        """Where the picture of fits at a step goes."""
        return self.path / "pictures" / f"step-{step:06d}.png"

    def read(self, table: Path) -> list[Row]:
        """All lines of one of the folder's tables, oldest first; a torn last line is dropped.

        A line has the columns that were measured at its step.
        """
        if not table.is_file():
            return []
        try:
            # A line without its end was being written when the machine stopped.
            whole, end, _ = read_text(table).rpartition("\n")
            return [_numbers(line) for line in csv.DictReader(StringIO(whole + end), strict=True)]
        except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
            said = f"{table} cannot be read ({error_line(error)})"
            raise FacebenchError(said, "remove it; the training goes on without") from error

    def append(self, table: Path, row: Row) -> None:
        """Add a line to one of the folder's tables; a new column is empty in the lines before."""
        columns = _columns(table)
        # Validation may begin late and gradients are measured at some steps only: columns then
        # grow.
        if columns != list(row):
            self._rewrite(table, [*self.read(table), row])
            return
        # Appended, not rewritten: a long training's log would be copied at every line.
        with explain_write_errors(table), table.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, columns).writerow(row)

    def rewind(self, step: int) -> None:
        """Drop the lines after a step, which the checkpoint of that step does not know of."""
        for table in (self.log, self.validation):
            if table.is_file():
                self._rewrite(
                    table, [row for row in self.read(table) if row.get("step", step) <= step]
                )

    def _rewrite(self, table: Path, rows: Sequence[Row]) -> None:
        # Newest first: the next line then fits the columns and is appended.
        columns = list(dict.fromkeys(name for row in reversed(rows) for name in row))
        with atomic_write(table) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)


def save_state(path: Path, trainer: Trainable[Any], rows: int) -> None:
    """Write weights, optimiser, average, step, random state and what the training is of.

    The place in the data follows from seed, step and the shards' rows (`batches.py`), random
    changes of photographs and second views from seed, step and place in the batch.
    """
    content = describe_weights(
        trainer.learner, trainer.recipe, trainer.model_digest, trainer.step, trainer.seed
    )
    content |= trainer.descent.state()
    content |= {
        # No layer here draws while it trains; saved, so that one that does would resume as well.
        "random": torch.get_rng_state(),
        "skipped": trainer.skipped,
        "rows": rows,
    }
    write_content(path, content)


def restore_state(path: Path, trainer: Trainable[Any], rows: int) -> None:
    """Take up the training saved at `path`.

    Raises:
        FacebenchError: the file is of another model, recipe, seed or data set.
    """
    content = read_content(path)
    # Before anything is changed: a refused checkpoint leaves the trainer as it was.
    _check_same(path, content, trainer, rows)
    restore(trainer.learner, content["weights"], path)
    try:
        trainer.descent.restore(content)
        torch.set_rng_state(content["random"])
        trainer.step = int(content["steps"])
        trainer.skipped = int(content["skipped"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        said = f"checkpoint {path} is damaged ({error_line(error)})"
        raise FacebenchError(said, "remove it, or give another --out") from error


def _columns(table: Path) -> list[str]:
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def _numbers(line: dict[str, str]) -> Row:
    # An empty cell was not measured; it must not come back as 0.
    return {name: float(value) for name, value in line.items() if value}


def _check_same(path: Path, content: Mapping[str, Any], trainer: Trainable[Any], rows: int) -> None:
    _refuse_weights(path, content)
    _refuse_others(
        path,
        ("face model", str(content.get("model_digest"))[:12], trainer.model_digest[:12]),
        ("number of photographs", content.get("rows"), rows),
    )
    check_settings(path, content, trainer.recipe, trainer.seed)


def check_settings(path: Path, content: Mapping[str, Any], recipe: AnyRecipe, seed: int) -> None:
    """Refuse a checkpoint whose training was asked for otherwise; needs neither data nor model.

    Raises:
        FacebenchError: it is of another recipe or seed, or holds weights only.
    """
    _refuse_weights(path, content)
    before = _what_matters(recipe_in(path, content))
    _refuse_others(path, ("seed", content["seed"], seed), ("recipe", before, _what_matters(recipe)))


def _refuse_weights(path: Path, content: Mapping[str, Any]) -> None:
    if "optimiser" not in content:
        raise FacebenchError(f"{path} holds weights only", "resume from a checkpoint.pt")


def _refuse_others(path: Path, *settings: tuple[str, Any, Any]) -> None:
    for what, old, new in settings:
        if old != new:
            raise FacebenchError(
                f"{path} is a training with another {what} ({_difference(old, new)})",
                "give another --out, or the settings it was started with",
            )


def _what_matters(recipe: AnyRecipe) -> dict[str, Any]:
    """The recipe without what may change between two runs of one training."""
    table = asdict(recipe)
    # The batch decides which photographs a step sees; intervals and the number of steps may change.
    table["training"] = {"batch_size": recipe.training.batch_size}
    return table


def _difference(old: Any, new: Any) -> str:
    if not isinstance(old, dict):
        return f"{old}, now {new}"
    # Sections, not values: two recipes side by side would fill the screen.
    changed = [key for key in new if old.get(key) != new[key]]
    return ", ".join(changed)


class LossMeter:
    """Adds up step reports; `row` gives their average and starts again."""

    def __init__(self) -> None:
        self._reset()

    def add(self, report: StepReport) -> None:
        """Count one step; the losses of a step that was left out do not enter the average.

        A term that is not computed in every step, as the pixels' before `loss.pixel_from`, is
        averaged over those that have it.
        """
        self._images += report.images
        if not report.applied:
            return
        for name, value in {"total": report.total, **report.terms}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] += 1
        self._gradients = report.gradients

    def timed(self, batches: Iterable[Item]) -> Iterator[Item]:
        """The batches, with the time spent waiting for them counted."""
        source = iter(batches)
        while True:
            start = time.perf_counter()
            try:
                batch = next(source)
            except StopIteration:
                return
            self._waited += time.perf_counter() - start
            yield batch

    def row(self, step: int, skipped: int, workers: int) -> Row:
        """The line of the log at a step, and a fresh start.

        Losses are means since the line before; `gradient_…` are norms of the weighted terms'
        gradients at the newest step, `waiting` is the share of the time spent waiting for input.

        Args:
            step: steps done.
            skipped: steps left out since the training began.
            workers: how many train; each is taken to be as fast as this one.
        """
        # A clock that has not moved must not end a training in a division by zero.
        seconds = max(time.perf_counter() - self._start, 1e-9)
        # Empty, not 0 / 0, where every step since the last line was left out.
        means = {name: value / self._counts[name] for name, value in self._sums.items()}
        gradients = {f"gradient_{name}": value for name, value in self._gradients.items()}
        row = {"step": float(step), **means, **gradients, "skipped": float(skipped)}
        row |= {"images_per_s": self._images * workers / seconds, "waiting": self._waited / seconds}
        self._reset()
        return row

    def _reset(self) -> None:
        self._start = time.perf_counter()
        self._waited = 0.0
        self._images = 0
        self._sums: dict[str, float] = {}
        self._counts: Counter[str] = Counter()
        self._gradients = {}
