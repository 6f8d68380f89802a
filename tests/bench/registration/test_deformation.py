"""Smooth displacement fields: what they cost, and how they are read off between nodes."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.bench.registration.deformation import SmoothField, grid_subsample
from facebench.errors import FacebenchError


@pytest.fixture(scope="module")
def bowl() -> np.ndarray:
    """Points (N, 3) of a shallow, lopsided bowl, 2 mm apart."""
    x, y = np.meshgrid(np.arange(-60, 61, 2.0), np.arange(-75, 70, 2.0), indexing="ij")
    return np.stack([x, y, 0.004 * (x**2 + (y + 20) ** 2)], axis=-1).reshape(-1, 3)


@pytest.fixture(scope="module")
def field(bowl) -> SmoothField:
    return SmoothField(bowl[grid_subsample(bowl, np.ones(len(bowl)), 10.0)[0]], 10.0, 60.0)


def test_constants_are_kept_between_nodes(field, bowl) -> None:
    ones = field.basis(bowl) @ np.ones(len(field.nodes))
    np.testing.assert_allclose(ones, 1, atol=1e-9)


def test_affine_fields_are_kept_between_nodes(field, bowl) -> None:
    stretch = np.array([0.02, -0.01, 0.0])
    read = field.basis(bowl) @ (field.nodes @ stretch)
    assert np.abs(read - bowl @ stretch).max() < 0.01


def test_rough_fields_cost_more_than_smooth_ones(field) -> None:
    def cost(values: np.ndarray) -> float:
        return float(values @ (field.precision @ values) / (values @ values))

    x = field.nodes[:, 0]
    waves = [cost(np.cos(2 * np.pi * x / length)) for length in (400, 120, 60, 30)]
    assert waves == sorted(waves) and waves[-1] > 100 * waves[0]


def test_the_variance_and_range_are_as_stated() -> None:
    """In the middle of a plane, where no rim adds to it."""
    x, y = np.meshgrid(np.arange(0, 240, 4.0), np.arange(0, 236, 4.0))
    plane = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    nodes = plane[grid_subsample(plane, np.ones(len(plane)), 8.0)[0]]
    field = SmoothField(nodes, 8.0, 50.0)
    covariance = np.linalg.inv(field.precision.toarray())
    middle = np.linalg.norm(field.nodes - plane.mean(0), axis=1).argmin()
    distance = np.linalg.norm(field.nodes - field.nodes[middle], axis=1)
    assert covariance[middle, middle] == pytest.approx(1, abs=0.25)
    at_range = covariance[middle, np.abs(distance - 50) < 4] / covariance[middle, middle]
    # A Matérn field of smoothness 1 has a correlation of about 0.14 at its range.
    assert at_range.mean() == pytest.approx(0.14, abs=0.08)


def test_the_choice_of_points_turns_with_them(bowl, any_pose) -> None:
    rng = np.random.default_rng(0)
    points = bowl + 0.3 * rng.standard_normal(bowl.shape)
    moved = any_pose(3).apply(points)
    assert set(grid_subsample(points, np.ones(len(bowl)), 9.0)[0]) == set(
        grid_subsample(moved, np.ones(len(bowl)), 9.0)[0]
    )


def test_the_choice_of_points_does_not_depend_on_their_order(bowl) -> None:
    order = np.random.default_rng(1).permutation(len(bowl))
    assert set(order[grid_subsample(bowl[order], np.ones(len(bowl)), 9.0)[0]]) == set(
        grid_subsample(bowl, np.ones(len(bowl)), 9.0)[0]
    )


def test_a_surface_of_few_patches_is_told() -> None:
    nodes = np.random.default_rng(0).uniform(0, 30, (13, 3)) * [1, 1, 0.1]
    with pytest.raises(FacebenchError, match="only 13 patches of 16 mm of the prediction"):
        SmoothField(nodes, 16.0, 150.0)
