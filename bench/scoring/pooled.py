"""Statistics over the points of all subjects together, as NoW reports them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..surface.triangles import Float64Array
from .distance import DIRECTION_WEIGHTS, Distances
from .statistics import UNKNOWN, Interval, bootstrap_means, percentile_interval

PointDistances = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Errors of a scan's points and of its prediction's, mm."""


@dataclass(frozen=True)
class PooledErrors:
    """Errors of the points of several subjects, in mm.

    Attributes:
        mean, std, median, rmse, p90: over all points, std with their number N.
        ci95: bootstrap interval of the mean over subjects: points of one are not independent.
    """

    mean: float
    std: float
    median: float
    rmse: float
    p90: float
    ci95: Interval


def pool_subjects(subjects: Sequence[PointDistances], direction: str, seed: int) -> PooledErrors:
    """Pool the points of subjects; each counts with as many points as it has.

    A symmetric protocol pools each direction by itself and gives both half of the weight.

    Args:
        subjects: at least one.
        direction: a name in `distance.DIRECTION_WEIGHTS`.
        seed: of the bootstrap.
    """
    weighted = zip(zip(*subjects, strict=True), DIRECTION_WEIGHTS[direction], strict=True)
    sides = [([np.asarray(part, np.float64) for part in side], w) for side, w in weighted if w]
    points = Distances.pooled([np.concatenate(side) for side, _ in sides], [w for _, w in sides])
    means = sum(weight * _resampled(side, seed) for side, weight in sides)
    return PooledErrors(
        mean=points.mean,
        std=points.std,
        median=points.median,
        rmse=points.rmse,
        p90=points.quantile(0.9),
        ci95=percentile_interval(np.asarray(means)) if len(subjects) > 1 else UNKNOWN,
    )


def _resampled(side: Sequence[Float64Array], seed: int) -> Float64Array:
    """Means over the points of resampled subjects; one seed draws the same for both directions."""
    means, counts = [part.mean() for part in side], [len(part) for part in side]
    return bootstrap_means(means, seed, weights=counts)
