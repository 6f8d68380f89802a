"""Averages of the loss over the steps between two lines of the log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from ..folder import Row
from .step_report import StepReport

Item = TypeVar("Item")


class LossMeter:
    """Adds up step reports; `row` gives their average and starts again."""

    _pulls: Mapping[str, float]

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
        self._pulls = report.gradients

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

        Losses are means since the line before; `gradient_…` are norms of the weighted levels'
        gradients at the newest step, `waiting` is the share of the time spent waiting for input.

        Args:
            step: steps done.
            skipped: steps left out since the training began.
            workers: how many train; each is taken to be as fast as this one.
        """
        seconds = max(time.perf_counter() - self._start, 1e-9)
        means = {name: value / self._steps for name, value in self._sums.items()}
        pulls = {f"gradient_{name}": value for name, value in self._pulls.items()}
        row = {"step": float(step), **means, **pulls, "skipped": float(skipped)}
        row |= {"images_per_s": self._images * workers / seconds, "waiting": self._waited / seconds}
        self._reset()
        return row

    def _reset(self) -> None:
        self._start = time.perf_counter()
        self._waited = 0.0
        self._steps = 0
        self._images = 0
        self._sums: dict[str, float] = {}
        self._pulls = {}
