"""Pairs measured in parallel, one Ray task each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import ray

from ..bench.measure_pair import MeasuredPair, PairRuler, failed_pair, measure_pair
from ..bench.pair_set import Pair
from .cluster import ONE_THREAD, total


def measure_pairs(pairs: Iterable[Pair], ruler: PairRuler) -> Iterator[MeasuredPair]:
    """The row of each pair as it is finished, in no particular order.

    Connected to Ray; on a cluster of several machines the files must be on a disk that all of them
    see. Each task computes with one thread: Open3D adds up in another order with more.
    """
    waiting = iter(pairs)
    at_a_time = 2 * max(1, int(total("CPU")))
    measure = ray.remote(num_cpus=1, runtime_env=ONE_THREAD)(measure_pair)
    running = {measure.remote(pair, ruler): pair for pair in islice(waiting, at_a_time)}
    while running:
        (finished,), _ = ray.wait(list(running), num_returns=1)
        yield _collect(finished, running.pop(finished), ruler)
        running |= {measure.remote(pair, ruler): pair for pair in islice(waiting, 1)}


def _collect(finished: ray.ObjectRef, pair: Pair, ruler: PairRuler) -> MeasuredPair:
    """A task's row; that of a lost worker says so."""
    try:
        measured: MeasuredPair = ray.get(finished)
    except ray.exceptions.RayError as error:
        return failed_pair(pair, ruler, f"its worker was lost: {type(error).__name__}")
    return measured
