"""Worker processes of this machine that end with whoever started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext


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
    context = _context(["torch", *modules])
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


def _context(modules: list[str]) -> BaseContext:
    """How workers are started: forked from a server that has imported these modules."""
    # Forks of a process that has run torch may hang; the server that is forked here runs nothing.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(modules)
    safe = os.environ.get("PYTHONSAFEPATH")
    # Else it would import a torch or facebench that lies in the folder where the command runs.
    os.environ["PYTHONSAFEPATH"] = "1"
    resource_tracker.ensure_running()  # a server's start does this too, and lets signals through
    # Ctrl-C is for this process, which ends the others: they would print where they were.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    except OSError:  # a folder for temporary files where no socket can be, as of a long path
        return multiprocessing.get_context("spawn")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if safe is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = safe
    return context


def _begin(lifeline: Connection) -> None:
    import torch

    # One thread each: sums then come in the same order whatever the number of workers.
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)
