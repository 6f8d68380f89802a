"""Statistics over the points of all subjects, against numpy on the points themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.bench.scoring.reduce import PointDistances, pool_subjects


def subjects(seed: int, n: int = 5) -> list[PointDistances]:
    """Subjects of very different numbers of points, each with an error of its own."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(50, 4000, (n, 2))
    scales = rng.uniform(0.5, 2, n)
    return [
        (
            rng.exponential(scale, a).astype(np.float32),
            rng.exponential(scale, b).astype(np.float32),
        )
        for (a, b), scale in zip(sizes, scales, strict=True)
    ]


@given(st.integers(0, 2**31))
def test_one_direction_is_the_points_themselves(seed: int) -> None:
    people = subjects(seed)
    found, _ = pool_subjects(people, "scan_to_prediction", 0)
    points = np.concatenate([scan for scan, _ in people]).astype(np.float64)
    assert found.mean == pytest.approx(points.mean(), rel=1e-12)
    assert found.std == pytest.approx(points.std(), rel=1e-9)
    assert found.rmse == pytest.approx(np.sqrt((points**2).mean()), rel=1e-12)
    assert found.median == pytest.approx(np.median(points), rel=1e-9)
    assert found.quantile(0.9) == pytest.approx(np.quantile(points, 0.9), rel=1e-2)


def test_a_symmetric_protocol_gives_each_direction_half() -> None:
    people = subjects(1)
    found, _ = pool_subjects(people, "symmetric", 0)
    sides = [np.concatenate([person[side] for person in people]) for side in (0, 1)]
    assert found.mean == pytest.approx(np.mean([side.mean(dtype=float) for side in sides]))
    assert found.rmse**2 == pytest.approx(
        np.mean([(side.astype(float) ** 2).mean() for side in sides])
    )


def test_pooled_is_not_the_mean_over_subjects() -> None:
    """A subject with more points counts more."""
    many, few = np.full(3000, 1.0), np.full(1000, 2.0)
    found, _ = pool_subjects([(many, many), (few, few)], "symmetric", 0)
    assert found.mean == pytest.approx(1.25, rel=1e-12) and found.median == 1.0


def test_the_interval_is_over_subjects_not_points() -> None:
    rng = np.random.default_rng(2)
    means = rng.normal(1.5, 0.2, 40)
    people = [(np.full(500, m), np.full(800, m)) for m in means]
    _, interval = pool_subjects(people, "symmetric", 3)
    half = 1.96 * means.std() / math.sqrt(len(means))
    assert interval.low == pytest.approx(means.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(means.mean() + half, abs=0.1 * half)


def test_one_subject_has_no_interval() -> None:
    assert math.isnan(pool_subjects(subjects(0, 1), "symmetric", 0)[1].low)
