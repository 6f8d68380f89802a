"""Many independent jobs, one Ray task each, few of them under way at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import ray

from .cluster import ONE_THREAD, total
from .giving_up import Needs, giving_up

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
