import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.bench.landmarks.regions import FACE_PARTS, face_parts
from facebench.bench.scoring.distance import Distances, nan_mean
from facebench.recon.morphable.regions import REGION_NAMES

errors = st.lists(st.floats(0, 20), min_size=1, max_size=40)


@given(errors, errors)
def test_each_direction_has_half_of_the_weight(first: list[float], second: list[float]) -> None:
    both = Distances.pooled([np.array(first), np.array(second)], [0.5, 0.5])
    assert both.mean == pytest.approx((np.mean(first) + np.mean(second)) / 2, abs=1e-12)
    square = (np.mean(np.square(first)) + np.mean(np.square(second))) / 2
    assert both.rmse == pytest.approx(np.sqrt(square), abs=1e-12)
    repeated = Distances.pooled([np.array(first * 3), np.array(second)], [0.5, 0.5])
    assert repeated.mean == pytest.approx(both.mean, abs=1e-9)


@given(errors)
def test_one_direction_alone_has_the_usual_statistics(values: list[float]) -> None:
    distances = Distances.pooled([np.array(values), np.array([1e9])], [1.0, 0.0])
    assert distances.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert distances.std == pytest.approx(np.std(values), abs=1e-6)
    within = distances.share_within(np.array([0.0, 5.0, 20.0]))
    expected = [np.mean(np.array(values) <= mm) for mm in (0, 5, 20)]
    np.testing.assert_allclose(within, expected, atol=1e-12)


def test_quantiles_of_an_even_ladder() -> None:
    distances = Distances.pooled([np.arange(101.0)], [1.0])
    assert distances.median == pytest.approx(50)
    assert distances.quantile(0.9) == pytest.approx(np.quantile(np.arange(101.0), 0.9), abs=0.5)


def test_the_mean_of_nothing() -> None:
    assert np.isnan(nan_mean(np.array([np.nan])))
    assert nan_mean(np.array([1.0, np.nan, 3.0])) == 2.0


def test_every_vertex_is_in_at_most_one_part_of_the_face(model) -> None:
    parts = face_parts(model.region, model.region_names)
    assert set(parts) == set(FACE_PARTS)
    assert np.sum(list(parts.values()), axis=0).max() == 1
    assert all(inside.any() for inside in parts.values())
    assert {name for names in FACE_PARTS.values() for name in names} <= set(REGION_NAMES)
