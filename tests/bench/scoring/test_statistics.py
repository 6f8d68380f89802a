import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from facebench.bench.scoring.statistics import (
    EXACT_SUBJECTS,
    FEWEST_SUBJECTS,
    RESAMPLES,
    Interval,
    bootstrap_interval,
    bootstrap_means,
    bootstrap_p_value,
    deviation,
    geometric_mean,
    holm,
    mean,
    paired_difference,
    percentile_interval,
    sign_flip_p_value,
    subject_means,
)


def by_bootstrap(differences: np.ndarray, seed: int = 0) -> float:
    return bootstrap_p_value(bootstrap_means(differences, seed), differences.mean())


def test_the_bootstrap_interval_is_the_normal_one_for_many_subjects() -> None:
    values = np.random.default_rng(0).normal(1.5, 0.2, 400)
    interval = bootstrap_interval(values, seed=1)
    half_width = 1.96 * values.std() / math.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.05 * half_width)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.05 * half_width)


def test_the_bootstrap_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    found = [bootstrap_interval(rng.normal(0, 1, 53), seed, resamples=500) for seed in range(400)]
    assert 0.90 < np.mean([one.low <= 0.0 <= one.high for one in found]) < 0.98


def test_photographs_of_one_person_are_no_more_people() -> None:
    """Every person three times over: the same interval and the same p-value as once."""
    rng = np.random.default_rng(4)
    people = [f"p{number}" for number in range(8)]
    ours, theirs = rng.normal(1.4, 0.2, 8), rng.normal(1.5, 0.2, 8)
    once = paired_difference(ours, theirs, 5)
    thrice = paired_difference(np.tile(ours, 3), np.tile(theirs, 3), 5, people * 3)
    assert thrice.n_subjects == once.n_subjects == 8
    np.testing.assert_allclose(
        (thrice.mean_mm, thrice.p_value, thrice.ci95_mm.low, thrice.ci95_mm.high),
        (once.mean_mm, once.p_value, once.ci95_mm.low, once.ci95_mm.high),
    )
    several = bootstrap_interval(np.tile(ours, 3), 5, subjects=people * 3)
    alone = bootstrap_interval(ours, 5)
    np.testing.assert_allclose((several.low, several.high), (alone.low, alone.high))
    # One person, whatever the number of photographs, has no interval.
    assert math.isnan(bootstrap_interval([1.0, 2.0], subjects=["p0", "p0"]).low)


def test_a_person_weighs_as_many_as_the_values_are() -> None:
    means, counts = subject_means([1.0, 3.0, 5.0, 10.0], ["a", "b", "a", "a"])
    np.testing.assert_allclose(means, [16 / 3, 3.0])
    np.testing.assert_array_equal(counts, [3, 1])
    unequal = paired_difference([1.0, 2.0, 6.0], [0.0, 0.0, 0.0], subjects=["a", "a", "b"])
    assert unequal.mean_mm == 3.0 and unequal.n_subjects == 2


def test_the_test_turns_people_with_all_of_their_values() -> None:
    """Six people, the first with five photographs that outweigh the others: signs by hand."""
    values = [1.0] * 5 + [-0.5, -0.6, -0.7, -0.8, -0.9]
    people = ["a"] * 5 + list("bcdef")
    found = paired_difference(values, np.zeros(10), subjects=people)
    sums = np.array([5.0, -0.5, -0.6, -0.7, -0.8, -0.9])
    turned = [abs(np.dot(signs, sums)) for signs in itertools.product((-1, 1), repeat=6)]
    assert found.p_value == np.mean(np.array(turned) >= abs(sums.sum()) - 1e-12)


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


def test_holm_leaves_out_tests_that_were_not_made() -> None:
    np.testing.assert_allclose(holm([np.nan, 0.02, 0.03]), [np.nan, 0.04, 0.04])
    assert np.isnan(holm([np.nan, np.nan])).all()


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
    assert found.ci95_mm.high < 0.0
    assert found.p_value < 0.001
    nothing = paired_difference(subjects + rng.normal(0, 0.02, 53), subjects)
    assert nothing.p_value > 0.01


def test_a_failure_of_either_method_leaves_the_pair_out() -> None:
    found = paired_difference([1.0, np.nan, 2.0, 3.0], [1.5, 1.0, 2.5, np.nan])
    assert found.n_subjects == 2
    assert found.mean_mm == -0.5
    assert math.isnan(paired_difference([1.0], [2.0]).mean_mm)


@pytest.mark.parametrize("n", [6, 9, EXACT_SUBJECTS])
def test_few_subjects_get_the_exact_test_of_scipy(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.05, 0.1, n)
    expected = scipy.stats.permutation_test(
        (differences,),
        lambda x, axis: x.mean(axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    ).pvalue
    assert sign_flip_p_value(differences) == pytest.approx(expected, rel=1e-12)
    assert paired_difference(differences, np.zeros(n)).p_value == sign_flip_p_value(differences)


@pytest.mark.parametrize("n", range(2, EXACT_SUBJECTS + 1))
def test_the_exact_test_ends_at_two_in_all_signs(n: int) -> None:
    """All differences alike: only they and their opposite are as far from zero."""
    found = paired_difference(np.full(n, 1.2), np.full(n, 1.5))
    assert sign_flip_p_value(np.full(n, -0.3)) == 2.0 ** (1 - n)
    assert math.isnan(found.p_value) == (n < FEWEST_SUBJECTS) != found.testable
    assert found.mean_mm == pytest.approx(-0.3)


def test_differences_that_cancel_show_nothing() -> None:
    # 0.1 + 0.2 - 0.3 is 5.6e-17: of exact numbers every sign is as far from zero as these.
    values = np.array([0.1, 0.2, -0.3, 0.1, 0.2, -0.3])
    assert 0 < abs(values.sum()) < 1e-15
    assert sign_flip_p_value(values) == 1.0
    assert sign_flip_p_value(1000 * values) == 1.0


def test_the_exact_test_is_wrong_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    p = np.array([sign_flip_p_value(rng.normal(size=8)) for _ in range(2000)])
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.015)


def test_the_bootstrap_of_few_subjects_claims_too_much() -> None:
    """Why it is not used for them."""
    rng = np.random.default_rng(1)
    p = np.array([by_bootstrap(rng.normal(size=6), seed) for seed in range(400)])
    assert (p <= 0.05).mean() > 0.08


def test_bootstrap_and_exact_test_agree_on_many_subjects() -> None:
    differences = np.random.default_rng(3).normal(0.02, 0.05, 18)
    exact = sign_flip_p_value(differences)
    assert by_bootstrap(differences) == pytest.approx(exact, abs=0.05)


@given(st.integers(2, 9), st.integers(0, 2**31))
def test_weights_count_like_points(n: int, seed: int) -> None:
    """A subject's weight in a resample is its number of points."""
    rng = np.random.default_rng(seed)
    values, counts = rng.normal(size=n), rng.integers(1, 9, n)
    found = bootstrap_means(values, seed, resamples=20, weights=counts)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=20)
    for row, value in zip(drawn, found, strict=True):
        points = np.repeat(np.repeat(values, counts), np.repeat(row, counts))
        assert value == pytest.approx(points.mean(), abs=1e-12)


def test_deviations_of_sample_and_population() -> None:
    assert deviation([1.0, 2.0, 3.0]) == 1.0
    assert deviation([1.0, 2.0, 3.0], population=True) == pytest.approx(math.sqrt(2 / 3))
    assert math.isnan(deviation([1.0])) and math.isnan(mean([]))


def test_the_geometric_mean_does_not_depend_on_order() -> None:
    values = np.random.default_rng(4).uniform(0.5, 2, 50)
    assert geometric_mean(values) == geometric_mean(values[::-1])
    assert geometric_mean(values) == pytest.approx(scipy.stats.gmean(values), rel=1e-14)
    assert math.isnan(geometric_mean([]))


def test_the_bootstrap_p_value_counts_the_observed_itself() -> None:
    """It is never 0: the draw that was observed is one of those that might have been."""
    apart, equal = np.full(20, 5.0), np.zeros(20)
    assert by_bootstrap(apart) == 1 / (RESAMPLES + 1)
    assert by_bootstrap(equal) == 1.0
    assert paired_difference(apart, equal).p_value == 1 / (RESAMPLES + 1)


def test_the_p_value_has_two_sides() -> None:
    values = np.random.default_rng(5).normal(0.1, 1.0, 40)
    assert by_bootstrap(values) == by_bootstrap(-values)
    assert sign_flip_p_value(values[:10]) == sign_flip_p_value(-values[:10])


def test_the_interval_leaves_the_same_share_out_at_both_ends() -> None:
    means = np.arange(10_001.0)
    found = percentile_interval(means)
    assert (found.low, found.high) == pytest.approx((250.0, 9750.0))


@pytest.mark.parametrize("n", [EXACT_SUBJECTS, EXACT_SUBJECTS + 1])
def test_the_exact_test_gives_way_to_the_bootstrap(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1.0, n)
    expected = sign_flip_p_value(values) if n <= EXACT_SUBJECTS else by_bootstrap(values, 3)
    assert paired_difference(values, np.zeros(n), 3).p_value == expected


def test_the_difference_is_first_less_second_and_its_interval_is_of_it() -> None:
    found = paired_difference([3.0, 4.0, 5.5], [1.0, 1.0, 1.0], 2)
    assert found.mean_mm == pytest.approx(19 / 6)
    means = bootstrap_means([2.0, 3.0, 4.5], 2)
    assert found.ci95_mm == Interval(*map(float, np.quantile(means, [0.025, 0.975])))
