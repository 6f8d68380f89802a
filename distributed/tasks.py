"""Many independent jobs in parallel, one Ray task each, and their results as they finish."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from queue import Queue
from typing import Generic, TypeVar

from ..errors import FacebenchError

Work = TypeVar("Work")
Result = TypeVar("Result")


def in_tasks(
    work: Callable[[Work], Result], jobs: Iterable[Work]
) -> Iterator[tuple[Work, Result | Exception]]:
    """Each job with its result, in the order in which they are finished.

    Connected to Ray. Jobs are taken from the iterable as processors come free, so that few are held
    at a time. Each task computes with one thread: Open3D adds up in another order with more. A job
    whose worker was lost, or whose work raised, comes with Ray's error instead of a result.

    Args:
        work: a function, or a `functools.partial` of one, that Ray can send to a worker.
        jobs: its arguments.

    Raises:
        FacebenchError: a node holds other code than this process.
    """
    import ray

    from .cluster import one_thread_each, total
    from .nodes import expected_code
    from .timeout import Needs, cluster_timeout

    waiting = iter(jobs)
    # Twice as many as run: the next is on its worker's machine when one ends.
    at_a_time = 2 * max(1, int(total("CPU")))
    task = ray.remote(num_cpus=1, **one_thread_each())(_call)
    # Once into Ray's store: the mean face inside it is megabytes, and there are thousands of jobs.
    sent, code = ray.put(work), expected_code()
    running = {task.remote(sent, job, code): job for job in islice(waiting, at_a_time)}
    with cluster_timeout(Needs(cpus=1)) as heartbeat:
        while running:
            # Whichever ends first is kept first, so that a kill costs at most what is running.
            (finished,), _ = ray.wait(list(running), num_returns=1)
            heartbeat()
            yield running.pop(finished), _fetch(finished)
            running |= {task.remote(sent, job, code): job for job in islice(waiting, 1)}


def _call(work: Callable[[Work], Result], job: Work, code: str) -> tuple[str, Result | None]:
    """Why the job is not done here, or nothing and its result."""
    from .nodes import other_code

    fault = other_code(code)
    return (fault, None) if fault else ("", work(job))


def _fetch(finished: object) -> Result | Exception:
    import ray

    from .nodes import SAME_CODE

    try:
        fault, result = ray.get(finished)
    except ray.exceptions.RayError as error:
        # A lost machine costs its job, which the next command does again, not the run.
        lost: Exception = error
        return lost
    if fault:
        raise FacebenchError(fault, SAME_CODE)
    done: Result = result
    return done


class Behind(Generic[Work]):
    """Hands on what comes from a thread of its own, all that has come at a time.

    A disk or a store is slow for each thing and hardly slower for many: who takes one while few
    come takes hundreds at once where many do, and who brings them waits for neither.

    Args:
        take: is given what came, in order. What it raises is raised by the next `put`, or at the
            end of the block.
    """

    MOST = 1024
    """Handed on at once; where as many wait, who brings more waits too."""

    def __init__(self, take: Callable[[Sequence[Work]], None]) -> None:
        self._take = take
        self._queue: Queue[Work | None] = Queue(self.MOST)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Behind[Work]:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # What came is kept whatever ends the block: an interrupted command loses nothing.
        self._queue.put(None)
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def put(self, one: Work) -> None:
        """Bring something."""
        if self._failure is not None:
            raise self._failure
        self._queue.put(one)

    def _run(self) -> None:
        ended = False
        while not ended:
            some, ended = self._take_waiting()
            # After a failure the queue is only emptied, or `put` would wait for ever.
            if some and self._failure is None:
                try:
                    self._take(some)
                except BaseException as error:
                    self._failure = error

    def _take_waiting(self) -> tuple[list[Work], bool]:
        """What there is, at least one thing or the end; and whether it is the end."""
        some: list[Work] = []
        one = self._queue.get()
        while one is not None:
            some.append(one)
            if len(some) == self.MOST or self._queue.empty():
                return some, False
            one = self._queue.get()
        return some, True
