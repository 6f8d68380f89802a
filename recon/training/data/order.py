"""The order of the photographs: shuffled, yet read from disk in pieces and never all at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

POOL = 8192
"""Rows that are shuffled among each other, about 200 MB of pictures of 224 px."""


def rows_of_step(
    groups: Sequence[int], batch_size: int, step: int, seed: int, pool: int = POOL
) -> NDArray[np.int64]:
    """Rows of the global batch of a step: epoch after epoch, each in an order of its own.

    An epoch takes the groups in random order and shuffles the rows of so many neighbours as make up
    a pool, so that only these groups are needed at a time. Fewer rows are shuffled as one.

    Args:
        groups: rows of each piece that is read at once.
        batch_size: of all workers together.
        step: from 0.
        seed: of all orders.
        pool: rows shuffled among each other.
    """
    rows = sum(groups)
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // rows
    orders = {int(e): epoch_order(tuple(groups), seed, int(e), pool) for e in np.unique(epochs)}
    return np.array([orders[int(e)][p % rows] for e, p in zip(epochs, positions, strict=True)])


@lru_cache(maxsize=4)
def epoch_order(groups: tuple[int, ...], seed: int, epoch: int, pool: int) -> NDArray[np.int64]:
    """All rows once, in the order of an epoch."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(groups))
    sizes = np.array(groups, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    taken = sizes[order]
    before = np.cumsum(taken) - taken
    within = np.arange(taken.sum()) - np.repeat(before, taken)
    rows = np.repeat(starts[order], taken) + within
    pools = np.repeat(before // pool, taken)
    shuffled = np.lexsort((random.random(len(rows)), pools))
    found: NDArray[np.int64] = rows[shuffled]
    found.flags.writeable = False
    return found
