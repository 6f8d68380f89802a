"""Items measured by Ray's workers or in this process, with the same numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from threadpoolctl import threadpool_limits

from ..bench.scoring.measure import Job, Measured, failed_job, measure_job
from ..bench.scoring.target import Ruler
from .tasks import in_tasks


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
