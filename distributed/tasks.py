"""Many independent jobs in parallel, one Ray task each, few of them under way at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TypeVar

import ray

from ..bench.scoring.measure import Measured, Measuring, SubjectJob, failed_subject, measure_subject
from .cluster import ONE_THREAD, Needs, giving_up, total


def measure_subjects(jobs: Iterable[SubjectJob], how: Measuring) -> Iterator[list[Measured]]:
    """The rows of each subject as they are finished, in no particular order.

    Connected to Ray; those of a lost worker say so.
    """
    for job, rows in in_tasks(partial(measure_subject, how=how), jobs):
        if isinstance(rows, ray.exceptions.RayError):
            yield failed_subject(job, f"its worker was lost: {type(rows).__name__}", how)
        else:
            yield rows


Job = TypeVar("Job")
Result = TypeVar("Result")


def in_tasks(
    work: Callable[[Job], Result], jobs: Iterable[Job]
) -> Iterator[tuple[Job, Result | ray.exceptions.RayError]]:
    """Each job with its result, in the order in which they are finished.

    Connected to Ray. Jobs are taken from the iterable as processors come free, so that few are held
    at a time. Each task computes with one thread: Open3D adds up in another order with more. A job
    whose worker was lost, or whose work raised, comes with Ray's error instead of a result.

    Args:
        work: a function, or a `functools.partial` of one, that Ray can send to a worker.
        jobs: its arguments.
    """
    waiting = iter(jobs)
    at_a_time = 2 * max(1, int(total("CPU")))
    task = ray.remote(num_cpus=1, runtime_env=ONE_THREAD)(_call)
    sent = ray.put(work)
    running = {task.remote(sent, job): job for job in islice(waiting, at_a_time)}
    with giving_up(Needs(cpus=1)) as came:
        while running:
            (finished,), _ = ray.wait(list(running), num_returns=1)
            came()
            yield running.pop(finished), _fetch(finished)
            running |= {task.remote(sent, job): job for job in islice(waiting, 1)}


def _call(work: Callable[[Job], Result], job: Job) -> Result:
    return work(job)


def _fetch(finished: ray.ObjectRef) -> Result | ray.exceptions.RayError:
    try:
        result: Result = ray.get(finished)
    except ray.exceptions.RayError as error:
        return error
    return result
