"""When to give up: too many steps in a row that are not finite."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ....errors import FacebenchError
from ...files.writing import atomic_write
from ...network.weights_content import save_tensors
from .step_report import StepReport


class DivergedError(FacebenchError):
    """Step after step was not finite: to go on from the same place would not help."""


class Patience:
    """Counts the steps in a row that were left out.

    Args:
        limit: how many are too many.
        folder: where the batch of the last one is kept.
        rank: of this worker; each keeps its share.
    """

    def __init__(self, limit: int, folder: Path, rank: int) -> None:
        self._limit = limit
        self._folder = folder
        self._rank = rank
        self._in_a_row = 0

    def watch(self, report: StepReport, batch: Any, step: int) -> None:
        """Take note of a step.

        Args:
            report: of the step.
            batch: a dataclass of tensors, what the step was taken on.
            step: steps done, this one included.

        Raises:
            DivergedError: too many in a row were left out; the batch is saved.
        """
        self._in_a_row = 0 if report.applied else self._in_a_row + 1
        if self._in_a_row < self._limit:
            return
        path = self._folder / f"not-finite-step-{step}-worker-{self._rank}.pt"
        save_batch(path, batch)
        raise DivergedError(
            f"{self._in_a_row} steps in a row, the last of them {step}, were not finite "
            f"(loss {report.total:g}); its batch is in {path}",
            "lower optimiser.learning_rate, set optimiser.gradient_limit, or look at that batch",
        )


def save_batch(path: Path, batch: Any) -> None:
    """Write a dataclass of tensors as a dictionary that `torch.load(weights_only=True)` reads."""
    with atomic_write(path) as draft:
        save_tensors(draft, asdict(batch))
