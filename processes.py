"""Worker processes of this machine that end with whoever started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection


@contextmanager
def worker_processes(workers: int, *modules: str) -> Iterator[ProcessPoolExecutor]:
    """A pool of Python processes, each of one PyTorch thread.

    At the end of the block the jobs that run are waited for. An error, an interruption or the death
    of this process ends the workers in the middle of what they do: a pool alone would have them
    finish it for nobody, and after a SIGKILL wait for more for ever.

    Args:
        workers: how many.
        modules: names of what their jobs import, which is imported once for all of them.

    Example:
        >>> with worker_processes(2) as pool:  # doctest: +SKIP
        ...     print(list(pool.map(abs, [-1, 2])))
        [1, 2]
    """
    # Forks of a process that has run torch may hang; the server that is forked here runs nothing.
    # One thread each: sums then come in the same order whatever the number of workers.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", *modules])
    # The system closes this end with the process, however that dies.
    held_by_workers, lifeline = context.Pipe(duplex=False)
    with lifeline, held_by_workers:
        pool = ProcessPoolExecutor(workers, context, _begin, (held_by_workers,))
        try:
            yield pool
        except BaseException:
            lifeline.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(lifeline: Connection) -> None:
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)
