"""Processes of this machine that end with whoever started them: workers, and whole commands."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import IO

_COMMAND = (
    "from facebench.processes import end_with_input; end_with_input(); "
    "from facebench.cli.main import main; main()"
)
_LOOK_SECONDS = 0.2


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


def commands_beside(
    commands: Sequence[Sequence[str]], most: int, environment: Mapping[str, str]
) -> Generator[tuple[int, int, str]]:
    """Commands of facebench, each in a process of its own, returned as they end.

    Where the iterator is closed, or this process dies, those that run are ended as by Ctrl-C, so
    that each keeps what it has done.

    Args:
        commands: without the leading `facebench`.
        most: that run at a time.
        environment: what theirs has besides this process's.

    Yields:
        The command's place among `commands`, its exit code and all that it printed.
    """
    waiting = deque(enumerate(commands))
    running: dict[int, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < most:
                place, words = waiting.popleft()
                running[place] = _start(words, environment)
            for place in [n for n, (process, _) in running.items() if process.poll() is not None]:
                process, printed = running.pop(place)
                with printed:
                    printed.seek(0)
                    text = printed.read().decode("utf-8", "replace")
                yield place, process.returncode, text
            time.sleep(_LOOK_SECONDS)
    finally:
        inputs = [process.stdin for process, _ in running.values()]
        for end in filter(None, inputs):
            end.close()
        for process, printed in running.values():
            process.wait()
            printed.close()


def _start(
    words: Sequence[str], environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    # A file and no pipe: nobody has to read it while the command runs.
    printed = tempfile.TemporaryFile()  # noqa: SIM115  closed by who reads it
    process = subprocess.Popen(
        # Safe, or it would import a facebench that lies in the folder where the command runs.
        [sys.executable, "-P", "-c", _COMMAND, *words],
        stdin=subprocess.PIPE,
        stdout=printed,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        # Ctrl-C is for this process, which ends the others.
        start_new_session=True,
    )
    return process, printed


def end_with_input() -> None:
    """End this process as Ctrl-C would when its standard input ends, with its holder."""

    def wait() -> None:
        os.read(0, 1)  # not by `sys.stdin`, whose lock would be held at the interpreter's end
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
