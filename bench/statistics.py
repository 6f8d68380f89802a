"""From subjects to scenes and methods: means, intervals and tests over subjects."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from .triangles import Float64Array

RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """A central interval of a mean."""

    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether a value lies outside."""
        return not self.low <= value <= self.high


def bootstrap_means(values: ArrayLike, seed: int = 0, resamples: int = RESAMPLES) -> Float64Array:
    """Means (resamples,) of samples of subjects drawn with replacement from (S,) values.

    Points and frames of one subject are not independent, so subjects are what is drawn. The draw
    is multinomial over subjects, which is the same and needs no index array.
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    return np.asarray(counts @ values / n)


def bootstrap_interval(
    values: ArrayLike, seed: int = 0, resamples: int = RESAMPLES, confidence: float = 0.95
) -> Interval:
    """Percentile interval of the mean over subjects; NaN for fewer than two."""
    if np.size(values) < 2:
        return Interval(float("nan"), float("nan"))
    tail = (1 - confidence) / 2
    low, high = np.quantile(bootstrap_means(values, seed, resamples), [tail, 1 - tail])
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class PairedDifference:
    """How much lower one method's errors are than another's on the same subjects.

    Attributes:
        mean_mm: of first − second; negative when the first is better.
        ci95_mm: bootstrap interval over subjects.
        p_value: two-sided, from the bootstrap of the mean difference.
        n_subjects: with a number from both.
    """

    mean_mm: float
    ci95_mm: Interval
    p_value: float
    n_subjects: int


def paired_difference(first: ArrayLike, second: ArrayLike, seed: int = 0) -> PairedDifference:
    """Compare (S,) errors of two methods on the same subjects; NaN marks a failure.

    The p-value is that of the null hypothesis that the mean difference is zero: the share of
    resampled means, moved to have mean zero, that lie at least as far from zero as the observed.
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    difference = difference[np.isfinite(difference)]
    if len(difference) < 2:
        nan = float("nan")
        return PairedDifference(nan, Interval(nan, nan), nan, len(difference))
    mean = float(difference.mean())
    means = bootstrap_means(difference, seed)
    extreme = int((np.abs(means - mean) >= abs(mean)).sum())
    p_value = (extreme + 1) / (len(means) + 1)
    return PairedDifference(mean, bootstrap_interval(difference, seed), p_value, len(difference))


def holm(p_values: ArrayLike) -> Float64Array:
    """Adjusted p-values (M,) of M tests, Holm 1979: reject where they are below the level."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    stepwise = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepwise), 1.0)
    return adjusted


@dataclass(frozen=True)
class SceneSummary:
    """One scene of a run; lengths in mm.

    Attributes:
        mean_mm, std_mm: over subjects of the subjects' values; std with S − 1.
        ci95_low_mm, ci95_high_mm: bootstrap interval of the mean over subjects.
        median_mm, rmse_mm, p90_mm: means over subjects of the subjects' own.
        n_subjects: with a number.
        coverage: subjects with a number / all subjects.
        mean_with_failures_mm: what failed counts with the mean face's error.
    """

    mean_mm: float
    std_mm: float
    ci95_low_mm: float
    ci95_high_mm: float
    median_mm: float
    rmse_mm: float
    p90_mm: float
    n_subjects: int
    coverage: float
    mean_with_failures_mm: float

    def to_dict(self) -> dict[str, float | int]:
        """Plain values by name."""
        return asdict(self)


def summarise_scene(
    values: ArrayLike,
    medians: ArrayLike,
    rmses: ArrayLike,
    p90s: ArrayLike,
    mean_face: ArrayLike,
    seed: int = 0,
) -> SceneSummary:
    """Summary over the subjects of a scene.

    Args:
        values, medians, rmses, p90s: (S,) of each subject, NaN for what failed.
        mean_face: (S,) errors of the mean face on the same subjects, or one number for all, which
            stand in for what failed; NaN when not known.
        seed: of the bootstrap.
    """
    errors = np.asarray(values, np.float64)
    known = np.isfinite(errors)
    interval = bootstrap_interval(errors[known], seed)
    filled = np.where(known, errors, np.broadcast_to(np.asarray(mean_face, float), errors.shape))
    return SceneSummary(
        mean_mm=_mean(errors[known]),
        std_mm=float(np.std(errors[known], ddof=1)) if known.sum() > 1 else float("nan"),
        ci95_low_mm=interval.low,
        ci95_high_mm=interval.high,
        median_mm=_mean(np.asarray(medians, np.float64)[known]),
        rmse_mm=_mean(np.asarray(rmses, np.float64)[known]),
        p90_mm=_mean(np.asarray(p90s, np.float64)[known]),
        n_subjects=int(known.sum()),
        coverage=float(known.mean()) if len(known) else 0.0,
        mean_with_failures_mm=_mean(filled),
    )


def _mean(values: Float64Array) -> float:
    return float(values.mean()) if len(values) else float("nan")
