"""The loop: batches into the trainer, lines into the log, checkpoints to disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data.batches import BatchSource, prefetch
from .optimise import LossMeter, NonFiniteGuard, Row, Trainable
from .state import TrainingFolder, restore_state, save_state

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
        return self.source.rank == 0

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
        guard = NonFiniteGuard(times.skipped_in_a_row, self.folder.path, self.source.rank)
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
            self._log(meter.row(step, self.trainer.skipped, self.source.workers))
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
