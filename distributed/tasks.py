"""Many independent jobs in parallel, one Ray task each; few jobs in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TypeVar

from threadpoolctl import threadpool_limits

from ..bench.scoring.measure import Job, Measured, failed_job, measure_job
from ..bench.scoring.target import Ruler

Work = TypeVar("Work")
Result = TypeVar("Result")


def measure_jobs(jobs: Iterable[Job], ruler: Ruler) -> Iterator[list[Measured]]:
    """The results of each job as they are finished, in no particular order.

    Connected to Ray; on a cluster of several machines the files must be on a disk that all of them
    see. Those of a lost worker say so.
    """
    for job, done in in_tasks(partial(measure_job, ruler=ruler), jobs):
        # `measure_job` raises nothing itself: what comes here is Ray's.
        if isinstance(done, Exception):
            yield failed_job(job, f"its worker was lost: {type(done).__name__}", ruler)
        else:
            yield done


def measure_here(jobs: Iterable[Job], ruler: Ruler) -> Iterator[list[Measured]]:
    """The same in this process, with the numbers that a worker would have."""
    for job in jobs:
        # Workers compute with one thread: sums in another order end in other last digits.
        with threadpool_limits(1):
            done = measure_job(job, ruler)
        yield done


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
    """
    import ray

    from .cluster import ONE_THREAD, Needs, cluster_timeout, total

    waiting = iter(jobs)
    # Twice as many as run: the next is on its worker's machine when one ends.
    at_a_time = 2 * max(1, int(total("CPU")))
    task = ray.remote(num_cpus=1, runtime_env=ONE_THREAD)(_call)
    # Once into Ray's store: the mean face inside it is megabytes, and there are thousands of jobs.
    sent = ray.put(work)
    running = {task.remote(sent, job): job for job in islice(waiting, at_a_time)}
    with cluster_timeout(Needs(cpus=1)) as heartbeat:
        while running:
            # Whichever ends first is kept first, so that a kill costs at most what is running.
            (finished,), _ = ray.wait(list(running), num_returns=1)
            heartbeat()
            yield running.pop(finished), _fetch(finished)
            running |= {task.remote(sent, job): job for job in islice(waiting, 1)}


def _call(work: Callable[[Work], Result], job: Work) -> Result:
    return work(job)


def _fetch(finished: object) -> Result | Exception:
    import ray

    try:
        result: Result = ray.get(finished)
    except ray.exceptions.RayError as error:
        # A lost machine costs its job, which the next command does again, not the run.
        lost: Exception = error
        return lost
    return result
