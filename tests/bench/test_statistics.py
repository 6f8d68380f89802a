import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.bench.statistics import (
    bootstrap_interval,
    bootstrap_means,
    holm,
    paired_difference,
    summarise_scene,
)


def test_the_bootstrap_interval_is_the_normal_one_for_many_subjects() -> None:
    values = np.random.default_rng(0).normal(1.5, 0.2, 400)
    interval = bootstrap_interval(values, seed=1)
    half_width = 1.96 * values.std() / math.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.05 * half_width)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.05 * half_width)


def test_the_bootstrap_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    hits = [
        not bootstrap_interval(rng.normal(0, 1, 53), seed, resamples=500).excludes(0.0)
        for seed in range(400)
    ]
    assert 0.90 < np.mean(hits) < 0.98


def test_bootstrap_means_have_the_plug_in_variance_and_are_seeded() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    means = bootstrap_means(values, seed=3, resamples=40_000)
    assert means.var() == pytest.approx(values.var() / 4, rel=0.03)
    np.testing.assert_array_equal(means, bootstrap_means(values, seed=3, resamples=40_000))
    assert (means != bootstrap_means(values, seed=4, resamples=40_000)).any()


def test_holm_by_hand() -> None:
    """Sorted .01 .02 .03 .04 times 4 3 2 1 is .04 .06 .06 .04, and never falls: .04 .06 .06 .06."""
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.6]), [1.0, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_nothing_and_bonferroni(p_values: list[float]) -> None:
    p, adjusted = np.array(p_values), holm(p_values)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(p * len(p), 1) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_a_paired_difference_sees_what_two_intervals_cannot() -> None:
    rng = np.random.default_rng(1)
    subjects = rng.normal(1.5, 0.3, 53)
    better = subjects - 0.05 + rng.normal(0, 0.02, 53)
    found = paired_difference(better, subjects)
    assert found.mean_mm == pytest.approx(-0.05, abs=0.01)
    assert found.ci95_mm.excludes(0.0)
    assert found.p_value < 0.001
    nothing = paired_difference(subjects + rng.normal(0, 0.02, 53), subjects)
    assert nothing.p_value > 0.01


def test_a_failure_of_either_method_leaves_the_pair_out() -> None:
    found = paired_difference([1.0, np.nan, 2.0, 3.0], [1.5, 1.0, 2.5, np.nan])
    assert found.n_subjects == 2
    assert found.mean_mm == -0.5
    assert math.isnan(paired_difference([1.0], [2.0]).mean_mm)


def test_a_scene_with_failures() -> None:
    values = [1.0, 2.0, np.nan, 3.0]
    scene = summarise_scene(values, values, values, values, mean_face=[9, 9, 6, 9])
    assert scene.mean_mm == 2.0
    assert scene.std_mm == 1.0
    assert (scene.n_subjects, scene.coverage) == (3, 0.75)
    assert scene.mean_with_failures_mm == 3.0
    assert scene.ci95_low_mm <= 2.0 <= scene.ci95_high_mm


def test_a_scene_without_any_number() -> None:
    nothing = [np.nan, np.nan]
    scene = summarise_scene(nothing, nothing, nothing, nothing, mean_face=2.5)
    assert scene.n_subjects == 0
    assert math.isnan(scene.mean_mm)
    assert scene.mean_with_failures_mm == 2.5
