"""Pairs measured in parallel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import ray

from ..bench.pairs.measure_pair import MeasuredPair, PairRuler, failed_pair, measure_pair
from ..bench.pairs.sets import Pair
from .tasks import in_tasks


def measure_pairs(pairs: Iterable[Pair], ruler: PairRuler) -> Iterator[MeasuredPair]:
    """The row of each pair as it is finished, in no particular order.

    Connected to Ray; on a cluster of several machines the files must be on a disk that all of them
    see. The row of a lost worker says so.
    """
    for pair, measured in in_tasks(partial(measure_pair, ruler=ruler), pairs):
        if isinstance(measured, ray.exceptions.RayError):
            yield failed_pair(pair, ruler, f"its worker was lost: {type(measured).__name__}")
        else:
            yield measured
