import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.bench.landmarks import FACE_PARTS, face_parts
from facebench.bench.scoring.distance import Distances, WeightedErrors, weighted_mean
from facebench.recon.morphable.landmarks import REGION_NAMES

errors = st.lists(st.floats(0, 20), min_size=1, max_size=40)


@given(errors, errors)
def test_each_direction_has_half_of_the_weight(first: list[float], second: list[float]) -> None:
    both = Distances([np.array(first), np.array(second)], [0.5, 0.5])
    assert both.mean == pytest.approx((np.mean(first) + np.mean(second)) / 2, abs=1e-12)
    square = (np.mean(np.square(first)) + np.mean(np.square(second))) / 2
    assert both.rmse == pytest.approx(np.sqrt(square), abs=1e-12)
    repeated = Distances([np.array(first * 3), np.array(second)], [0.5, 0.5])
    assert repeated.mean == pytest.approx(both.mean, abs=1e-9)


@given(errors)
def test_one_direction_alone_has_the_usual_statistics(values: list[float]) -> None:
    distances = Distances([np.array(values), np.array([1e9])], [1.0, 0.0])
    assert distances.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert distances.std == pytest.approx(np.std(values), abs=1e-6)
    within = distances.share_within(np.array([0.0, 5.0, 20.0]))
    expected = [np.mean(np.array(values) <= mm) for mm in (0, 5, 20)]
    np.testing.assert_allclose(within, expected, atol=1e-12)


def test_quantiles_of_an_even_ladder() -> None:
    distances = Distances([np.arange(101.0)], [1.0])
    assert distances.median == pytest.approx(50)
    assert distances.quantile(0.9) == pytest.approx(np.quantile(np.arange(101.0), 0.9), abs=0.5)


def test_the_mean_of_nothing() -> None:
    assert np.isnan(weighted_mean(np.array([np.nan]), np.ones(1)))
    assert weighted_mean(np.array([1.0, np.nan, 3.0]), np.array([1.0, 5.0, 3.0])) == 2.5


def test_an_error_counts_by_its_area() -> None:
    """One point that stands for three is three points that stand for one."""
    values = np.array([0.5, 2.0, 1.0])
    thrice = Distances([np.repeat(values, [1, 3, 2])], [1.0])
    weighted = Distances([values], [1.0], [np.array([1.0, 3.0, 2.0])])
    for name in ("mean", "rmse", "std"):
        assert getattr(weighted, name) == pytest.approx(getattr(thrice, name), abs=1e-12)


def test_equal_shares_keep_the_distribution() -> None:
    rng = np.random.default_rng(0)
    values, areas = rng.gamma(2.0, 0.5, 8000), rng.uniform(0.1, 5.0, 8000)
    shares = WeightedErrors(values, areas).equal_shares()
    assert len(shares) == round(areas.sum())
    assert shares.mean() == pytest.approx(np.average(values, weights=areas), abs=1e-4)
    weighted = Distances([values], [1.0], [areas])
    assert np.median(shares) == pytest.approx(weighted.median, abs=1e-3)
    counted = WeightedErrors(values, np.ones(8000))
    np.testing.assert_array_equal(counted.equal_shares(), values)


def test_every_vertex_is_in_at_most_one_part_of_the_face(model) -> None:
    parts = face_parts(model.region, model.region_names)
    assert set(parts) == set(FACE_PARTS)
    assert np.sum(list(parts.values()), axis=0).max() == 1
    assert all(inside.any() for inside in parts.values())
    assert {name for names in FACE_PARTS.values() for name in names} <= set(REGION_NAMES)
