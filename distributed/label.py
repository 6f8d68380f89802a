"""Faces fitted to the photographs of a training set: here, or by all processors of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from ..errors import FacebenchError
from ..recon.recipes.baselines import TranRecipe
from ..recon.training.job import TrainingJob
from ..recon.training.methods.labels import Labelling, fit_piece
from .cluster import connected
from .tasks import in_tasks


def labelling_of(job: TrainingJob) -> Labelling | None:
    """What must be fitted before a training can start, done or not; None where nothing must.

    Raises:
        FacebenchError: unusable data or model, or a folder with the labels of other photographs.
    """
    if not isinstance(job.recipe, TranRecipe):
        return None
    return Labelling.claimed(job.data, job.model, job.folder.labels, job.limit)


def fit_labels(labelling: Labelling, parallel: bool, cluster: bool, threads: int) -> Iterator[int]:
    """Fit the pieces that are missing; gives the first row of each as it is written.

    Stopped at any moment, the same call goes on where it stood.

    Args:
        labelling: what to fit.
        parallel: on all processors, through Ray; else in this process.
        cluster: those of a running Ray cluster.
        threads: PyTorch threads of this process; 0 leaves PyTorch's choice.

    Raises:
        FacebenchError: a piece could not be fitted or written.
    """
    missing = labelling.missing()
    if not parallel or not missing:
        yield from _here(labelling, missing, threads)
        return
    with connected(cluster):
        for first, result in in_tasks(partial(fit_piece, labelling), missing):
            if isinstance(result, BaseException):
                raise _told(result)
            yield first


def _here(labelling: Labelling, missing: list[int], threads: int) -> Iterator[int]:
    if threads:
        torch.set_num_threads(threads)
    for first in missing:
        fit_piece(labelling, first)
        yield first


def _told(error: BaseException) -> FacebenchError:
    cause = getattr(error, "cause", None)
    if isinstance(cause, FacebenchError):
        return cause
    line = str(error).strip().splitlines()[-1]
    return FacebenchError(f"labels could not be fitted: {line}", "the same command goes on")
