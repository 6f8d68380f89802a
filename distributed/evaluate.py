"""Subjects measured in parallel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import ray

from ..bench.scoring.measure import Measured, Measuring, SubjectJob, failed_subject, measure_subject
from .tasks import in_tasks


def measure_subjects(jobs: Iterable[SubjectJob], how: Measuring) -> Iterator[list[Measured]]:
    """The rows of each subject as they are finished, in no particular order.

    Connected to Ray; those of a lost worker say so.
    """
    for job, rows in in_tasks(partial(measure_subject, how=how), jobs):
        if isinstance(rows, ray.exceptions.RayError):
            yield failed_subject(job, f"its worker was lost: {type(rows).__name__}", how)
        else:
            yield rows
