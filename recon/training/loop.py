"""The loop: batches into the trainer, lines into the log, checkpoints to disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Generic

from .batches import prefetched
from .folder import Row, TrainingFolder
from .meter import LossMeter
from .state import restore_state, save_state
from .trainee import Batch, Source, Trainee

Validate = Callable[[], Row]
Finish = Callable[[], None]
Listener = Callable[[Row], None]


@dataclass(frozen=True)
class Loop(Generic[Batch]):
    """One worker's share of a training.

    Only the first worker writes to the folder, validates and tells its listener.

    Attributes:
        trainer: takes the steps.
        source: gives this worker's part of each batch.
        folder: where state and log are kept, shared by all workers.
        validate: measures the trainee, or None.
        finish: leaves what is for use, once the last step is done.
        listen: is told every line of the log.
    """

    trainer: Trainee[Batch]
    source: Source[Batch]
    folder: TrainingFolder
    validate: Validate | None
    finish: Finish
    listen: Listener

    @property
    def leads(self) -> bool:
        """Whether this worker writes."""
        return self.source.rank == 0

    def resume(self) -> int:
        """Take up the newest checkpoint of the folder, if any; the step it stands at."""
        if self.folder.checkpoint.is_file():
            restore_state(self.folder.checkpoint, self.trainer, len(self.source.shards))
        if self.leads:
            self.folder.rewind(self.trainer.step)
        return self.trainer.step

    def run(self) -> None:
        """Train to the recipe's last step; an interruption still leaves a checkpoint."""
        last = self.trainer.recipe.training.steps
        meter = LossMeter()
        with closing(prefetched(self.source, self.trainer.step, last)) as batches:
            for truth in batches:
                meter.add(self.trainer.advance(truth))
                if self.leads:
                    self._keep(meter, last)

    def _keep(self, meter: LossMeter, last: int) -> None:
        times, step = self.trainer.recipe.training, self.trainer.step
        done = step == last
        if done or step % times.log_every == 0:
            self._log(meter.row(step, self.trainer.skipped, self.source.workers))
        if self.validate and (done or step % times.validate_every == 0):
            self.folder.append(self.folder.validation, self.validate())
        if done or step % times.checkpoint_every == 0:
            self.save()

    def _log(self, row: Row) -> None:
        self.folder.append(self.folder.log, row)
        self.listen(row)

    def save(self) -> None:
        """Write a checkpoint of the step the trainer stands at."""
        save_state(self.folder.checkpoint, self.trainer, len(self.source.shards))
