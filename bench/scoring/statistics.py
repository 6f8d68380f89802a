"""From subjects to scenes and methods: means, intervals and tests over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import ArrayLike

from ..surface.triangles import Float64Array

RESAMPLES = 10_000

# Draws of subjects held at a time: 10,000 resamples of 10,000 subjects at once take 1.6 GB.
BLOCK = 2_000_000

# With n subjects no two-sided test of signs can go below 2^(1 - n): 0.06 with 5, 0.03 with 6.
FEWEST_SUBJECTS = 6

LEVEL = 0.05
"""Of the tests, together: a verdict is wrong in this share of comparisons without a difference."""

# Up to here all 2^n signs are tried; above, the bootstrap of the mean is as good and cheaper.
EXACT_SUBJECTS = 12


@dataclass(frozen=True)
class Interval:
    """A central interval of a mean."""

    low: float
    high: float


UNKNOWN = Interval(float("nan"), float("nan"))


def bootstrap_means(
    values: ArrayLike,
    seed: int = 0,
    resamples: int = RESAMPLES,
    weights: ArrayLike | None = None,
) -> Float64Array:
    """Means (resamples,) or (resamples, K) of samples of subjects drawn with replacement.

    Points and frames of one subject are not independent, so subjects are what is drawn. The draw
    is multinomial over subjects, which is the same and needs no index array.

    Args:
        values: (S,) of the subjects, or (S, K) for several numbers by the same draw.
        seed, resamples: of the draw.
        weights: (S,) of the subjects, for example their numbers of points; None counts all alike.
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    weigh = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    generator = np.random.default_rng(seed)
    blocks = np.diff([*range(0, resamples, max(1, BLOCK // n)), resamples])
    return np.concatenate([_resample(values, weigh, generator, size) for size in blocks])


def _resample(
    values: Float64Array, weights: Float64Array, generator: np.random.Generator, size: int
) -> Float64Array:
    n = len(values)
    shares = generator.multinomial(n, np.full(n, 1 / n), size=size) * weights
    return np.asarray(((shares @ values).T / shares.sum(axis=1)).T)


def subject_means(
    values: ArrayLike, subjects: Sequence[str] | None = None
) -> tuple[Float64Array, Float64Array]:
    """The mean of each subject's values, (S,) or (S, K), and how many they are, (S,).

    Several photographs of one person share that person's face, so that taking each for a subject
    of its own would count the same evidence again: intervals too narrow, p-values too small.

    Args:
        values: (N,) or (N, K).
        subjects: (N,) whose each value is; None where each is of a subject of its own.
    """
    values = np.asarray(values, np.float64)
    if subjects is None:
        return values, np.ones(len(values))
    # In the order of first appearance: where everybody has one value nothing is changed.
    place = {name: number for number, name in enumerate(dict.fromkeys(subjects))}
    owner = np.array([place[name] for name in subjects], np.int64)
    counts = np.bincount(owner, minlength=len(place)).astype(np.float64)
    sums = np.zeros((len(place), *values.shape[1:]))
    np.add.at(sums, owner, values)
    return (sums.T / counts).T, counts


def bootstrap_interval(
    values: ArrayLike,
    seed: int = 0,
    resamples: int = RESAMPLES,
    subjects: Sequence[str] | None = None,
) -> Interval:
    """Percentile interval of the mean over (N,) values; NaN for fewer than two subjects.

    Subjects are drawn with all of their values, see `subject_means`.
    """
    means, counts = subject_means(values, subjects)
    if len(means) < 2:
        return UNKNOWN
    drawn = bootstrap_means(means, seed, resamples, weights=counts)
    return percentile_interval(drawn)


def percentile_interval(means: Float64Array) -> Interval:
    """The central interval that holds 95 % of resampled means."""
    tail = (1 - 0.95) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class PairedDifference:
    """How much lower one method's errors are than another's on the same subjects.

    Attributes:
        mean_mm: of first − second; negative when the first is better.
        ci95_mm: bootstrap interval over subjects.
        p_value: two-sided, of no difference; NaN for fewer than `FEWEST_SUBJECTS` subjects.
        n_subjects: with a number from both.
    """

    mean_mm: float
    ci95_mm: Interval
    p_value: float
    n_subjects: int

    @property
    def testable(self) -> bool:
        """Whether so many subjects can show a difference at all."""
        return self.n_subjects >= FEWEST_SUBJECTS


def paired_difference(
    first: ArrayLike, second: ArrayLike, seed: int = 0, subjects: Sequence[str] | None = None
) -> PairedDifference:
    """Compare (N,) errors of two methods on the same items; NaN marks a failure.

    `subjects` (N,) says whose they are, None that each is of a subject of its own: drawn and
    tested are subjects, see `subject_means`.

    The p-value is exact for few subjects (`sign_flip_p_value`) and from the bootstrap for more
    (`bootstrap_p_value`): the bootstrap of few subjects claims too much, because its samples
    spread less than the subjects' population.
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    # Paired: a subject that one of the two failed on says nothing of their difference.
    known = np.isfinite(difference)
    difference = difference[known]
    owners = None if subjects is None else list(compress(subjects, known))
    each, counts = subject_means(difference, owners)
    n = len(each)
    if n < 2:
        return PairedDifference(float("nan"), UNKNOWN, float("nan"), n)
    means = bootstrap_means(each, seed, weights=counts)
    p_value = float("nan")
    if n >= FEWEST_SUBJECTS:
        if n <= EXACT_SUBJECTS:
            # Flipped are whole subjects, each with the sum of its differences.
            p_value = sign_flip_p_value(each * counts)
        else:
            p_value = bootstrap_p_value(means, difference.mean())
    return PairedDifference(float(difference.mean()), percentile_interval(means), p_value, n)


def sign_flip_p_value(differences: ArrayLike) -> float:
    """Two-sided p-value (Fisher's randomisation test) of (S,) differences, S at most 20 or so.

    Without a difference between the methods each subject's sign is a coin's: the p-value is the
    share of all 2^S signs whose mean is at least as far from zero as the observed.
    """
    values = np.asarray(differences, np.float64)
    patterns = np.arange(2 ** len(values))[:, None] >> np.arange(len(values))
    sums = np.abs((1 - 2 * (patterns & 1)) @ values)
    # The observed sum is among them, and rounding must not take out it or what equals it: of the
    # terms, not of the sum, which of differences that cancel is itself rounding.
    return float((sums >= np.abs(values.sum()) - 1e-12 * np.abs(values).sum()).mean())


def bootstrap_p_value(means: Float64Array, observed: float) -> float:
    """Two-sided p-value of a mean: the share of its resampled ones, moved to have mean zero, that
    lie at least as far from zero."""
    extreme = int((np.abs(means - observed) >= abs(observed)).sum())
    # The observed mean counts as one of the draws: a p-value of 0 cannot be had from samples.
    return (extreme + 1) / (len(means) + 1)


def holm(p_values: ArrayLike) -> Float64Array:
    """Adjusted p-values (M,) of M tests, Holm 1979: reject where they are below the level.

    NaN, a test that was not made, stays NaN and is not counted.
    """
    p = np.asarray(p_values, np.float64)
    made = np.isfinite(p)
    order = np.argsort(p, kind="stable")[: made.sum()]
    stepwise = p[order] * np.arange(len(order), 0, -1)
    adjusted = np.full_like(p, np.nan)
    # A larger p must not be adjusted below a smaller one.
    adjusted[order] = np.minimum(np.maximum.accumulate(stepwise), 1.0)
    return adjusted


def mean(values: ArrayLike) -> float:
    """Mean of (S,) values; NaN without any."""
    values = np.asarray(values, np.float64)
    return float(values.mean()) if len(values) else float("nan")


def deviation(values: ArrayLike, population: bool = False) -> float:
    """Standard deviation of (S,) values with S − 1, or with S; NaN for fewer than two."""
    values = np.asarray(values, np.float64)
    return float(values.std(ddof=0 if population else 1)) if len(values) > 1 else float("nan")


def geometric_mean(values: ArrayLike) -> float:
    """Geometric mean of (S,) positive values, the same in whatever order they come."""
    # Sums of floats depend on their order; results come in the order in which workers end.
    values = np.sort(np.asarray(values, np.float64))
    return float(np.exp(np.log(values).mean())) if len(values) else float("nan")
