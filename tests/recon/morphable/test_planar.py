"""Points against polygons: analytic cases and an independent library."""

from __future__ import annotations

import numpy as np
from matplotlib.path import Path
from scipy.spatial.distance import cdist

from facebench.recon.morphable.landmarks import (
    distance_to_polygon,
    distance_to_polyline,
    inside_polygon,
)

STAR = np.array([[0, 3], [1, 1], [3, 0], [1, -1], [0, -3], [-1, -1], [-3, 0], [-1, 1]], float)


def _points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-4, 4, (5000, 2))


def test_inside_agrees_with_matplotlib() -> None:
    points = _points()
    np.testing.assert_array_equal(inside_polygon(points, STAR), Path(STAR).contains_points(points))


def test_inside_ignores_the_direction_of_the_polygon() -> None:
    points = _points()
    np.testing.assert_array_equal(inside_polygon(points, STAR), inside_polygon(points, STAR[::-1]))


def test_distance_agrees_with_a_dense_sampling() -> None:
    closed = np.vstack([STAR, STAR[:1]])
    share = np.linspace(0, 1, 2001)[:, None, None]
    samples = (closed[:-1] * (1 - share) + closed[1:] * share).reshape(-1, 2)
    points = _points()[:500]
    expected = cdist(points, samples).min(axis=1)
    np.testing.assert_allclose(distance_to_polyline(points, closed), expected, atol=1e-3)
    outside = ~inside_polygon(points, STAR)
    np.testing.assert_allclose(distance_to_polygon(points, STAR), expected * outside, atol=1e-3)


def test_distance_to_a_single_point_is_the_distance() -> None:
    points = _points()
    twice = np.zeros((2, 2))
    np.testing.assert_allclose(distance_to_polyline(points, twice), np.linalg.norm(points, axis=1))
