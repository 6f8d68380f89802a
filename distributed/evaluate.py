"""Subjects measured in parallel, one Ray task each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import ray

from ..bench.measure import Measured, Measuring, SubjectJob, failed_subject, measure_subject
from .cluster import ONE_THREAD, total


def measure_subjects(jobs: Iterable[SubjectJob], how: Measuring) -> Iterator[list[Measured]]:
    """The rows of each subject as they are finished, in no particular order.

    Jobs are taken from the iterable as processors come free, so that few meshes are held at a
    time. Each task computes with one thread: Open3D adds up in another order with more.
    """
    shared = ray.put(how)
    waiting = iter(jobs)
    at_a_time = 2 * max(1, int(total("CPU")))
    measure = ray.remote(num_cpus=1, runtime_env=ONE_THREAD)(measure_subject)
    running = {measure.remote(job, shared): job for job in islice(waiting, at_a_time)}
    while running:
        (finished,), _ = ray.wait(list(running), num_returns=1)
        yield _collect(finished, running.pop(finished), how)
        running |= {measure.remote(job, shared): job for job in islice(waiting, 1)}


def _collect(finished: ray.ObjectRef, job: SubjectJob, how: Measuring) -> list[Measured]:
    """A task's rows; those of a lost worker say so."""
    try:
        rows: list[Measured] = ray.get(finished)
    except ray.exceptions.RayError as error:
        return failed_subject(job, f"its worker was lost: {type(error).__name__}", how)
    return rows
