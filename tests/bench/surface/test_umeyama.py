import numpy as np
import pytest

from facebench.bench.surface.similarity import root_mean_square, similarity_between
from facebench.errors import FacebenchError


@pytest.mark.parametrize("scale", [0.01, 1.0, 37.0])
def test_a_known_similarity_is_found(any_pose, scale: float) -> None:
    known = any_pose(3, scale)
    points = np.random.default_rng(0).standard_normal((7, 3)) * 40
    found = similarity_between(points, known.apply(points))
    assert found.scale == pytest.approx(scale, rel=1e-12)
    np.testing.assert_allclose(found.rotation, known.rotation, atol=1e-12)
    np.testing.assert_allclose(found.apply(points), known.apply(points), atol=1e-9)


def test_no_small_motion_does_better(any_pose) -> None:
    """The result is a minimum: every change of it by a step in any direction costs."""
    rng = np.random.default_rng(1)
    points = rng.standard_normal((20, 3)) * 40
    target = any_pose(1, 1.1).apply(points) + rng.standard_normal((20, 3))
    found = similarity_between(points, target)
    best = root_mean_square(found.apply(points), target)
    centre = target.mean(0)
    for step in np.concatenate([np.eye(7), -np.eye(7)]) * 1e-3:
        other = type(found).step(step, centre).after(found)
        assert root_mean_square(other.apply(points), target) > best


def test_a_reflection_is_never_the_result(any_pose) -> None:
    points = np.random.default_rng(2).standard_normal((7, 3)) * 40
    mirrored = any_pose(2).apply(points * [-1, 1, 1])
    found = similarity_between(points, mirrored)
    assert np.linalg.det(found.rotation) == pytest.approx(1, abs=1e-12)
    assert root_mean_square(found.apply(points), mirrored) > 5


def test_points_in_a_plane(any_pose) -> None:
    points = np.random.default_rng(3).standard_normal((7, 3)) * [40, 40, 0]
    known = any_pose(4, 1.2)
    found = similarity_between(points, known.apply(points))
    np.testing.assert_allclose(found.rotation, known.rotation, atol=1e-9)


def test_a_given_factor_is_kept(any_pose) -> None:
    points = np.random.default_rng(5).standard_normal((7, 3)) * 40
    found = similarity_between(points, any_pose(5, 1.3).apply(points), factor=1.0)
    assert found.scale == 1.0
    np.testing.assert_allclose(found.rotation, any_pose(5).rotation, atol=1e-9)


def test_infinite_products_end_in_a_line() -> None:
    """On the products of such points, infinite and tiny ones together, LAPACK does not end."""
    source = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 2.0], [0.0, 1.0, 1e308]])
    with pytest.raises(FacebenchError, match="too far apart"):
        similarity_between(source, source * 10.0)
