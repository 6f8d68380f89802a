"""Batches made ahead of the network, by a thread of this process or by processes of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader, Dataset

from ....errors import FacebenchError
from .trainee import Batch, Source

_AHEAD = 2
"""Batches kept ready beside those being made."""


def prefetched(source: Source[Batch], first: int, last: int, readers: int = 1) -> Generator[Batch]:
    """Batches of the steps first to last - 1 in order, made ahead while the network computes.

    Several readers are processes: threads would take turns with the one that keeps a GPU busy.
    Batches come from them through shared memory (`/dev/shm`), two for each reader at most.

    Args:
        source: of the batches.
        first: step of the first one.
        last: step after the last one.
        readers: how many batches are made at a time.

    Raises:
        FacebenchError: a batch could not be made.
    """
    if readers > 1:
        return _of_processes(source, first, last, readers)
    return _of_a_thread(source, first, last)


def _of_a_thread(source: Source[Batch], first: int, last: int) -> Generator[Batch]:
    steps = iter(range(first, last))
    pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
    try:
        ahead = deque(pool.submit(source.batch, step) for step in islice(steps, 1 + _AHEAD))
        while ahead:
            batch = ahead.popleft().result()
            ahead.extend(pool.submit(source.batch, step) for step in islice(steps, 1))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def _of_processes(source: Source[Batch], first: int, last: int, readers: int) -> Generator[Batch]:
    loader = DataLoader(
        _Steps(source),
        batch_size=None,
        sampler=range(first, last),
        num_workers=readers,
        # What a source holds cannot be sent to a fresh process; readers never touch the GPU.
        multiprocessing_context="fork",
    )
    for made in loader:
        if isinstance(made, FacebenchError):
            raise made
        yield made


class _Steps(Dataset[Any]):
    """The batch of any step, or why there is none: raised in a reader, it would lose its words."""

    def __init__(self, source: Source[Any]) -> None:
        self._source = source

    def __getitem__(self, step: int) -> Any:
        try:
            return self._source.batch(step)
        except FacebenchError as error:
            return error
