"""Averages of the loss over the steps between two lines of the log."""

from __future__ import annotations

import time

from .folder import Row
from .trainer import StepReport


class LossMeter:
    """Adds up step reports; `row` gives their average and starts again."""

    def __init__(self) -> None:
        self._reset()

    def add(self, report: StepReport) -> None:
        """Count one step; the losses of a step that was left out do not enter the average."""
        self._images += report.images
        if not report.applied:
            return
        self._steps += 1
        for name, value in {"total": report.total, **report.levels}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def row(self, step: int, skipped: int, workers: int) -> Row:
        """The line of the log at a step, and a fresh start.

        Args:
            step: steps done.
            skipped: steps left out since the training began.
            workers: how many train; each is taken to be as fast as this one.
        """
        seconds = time.perf_counter() - self._start
        means = {name: value / self._steps for name, value in self._sums.items()}
        speed = self._images * workers / max(seconds, 1e-9)
        row = {"step": float(step), **means, "skipped": float(skipped), "images_per_s": speed}
        self._reset()
        return row

    def _reset(self) -> None:
        self._start = time.perf_counter()
        self._steps = 0
        self._images = 0
        self._sums: dict[str, float] = {}
