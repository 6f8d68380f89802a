"""Points drawn to planes, and normals that turn: on spheres and cylinders, where that is known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy import sparse

from facebench.bench.registration.constraints import (
    OUTLIER,
    Assembly,
    NormalField,
    PlaneConstraints,
    robust_factor,
    robust_spread,
    turning_forms,
)
from facebench.bench.registration.even_points import EvenPoints, even_points
from facebench.bench.surface.region import Sphere
from facebench.bench.surface.similarity import Similarity
from facebench.bench.surface.surface import Surface
from facebench.recon.mesh import Mesh

RADIUS = 60.0


def field_of(body: trimesh.Trimesh) -> NormalField:
    surface = Surface(Mesh(body.vertices, body.faces))
    return NormalField(even_points(surface, Sphere.everywhere(), Similarity.identity(), 3.5))


@pytest.mark.parametrize("subdivisions", [5, 6])
def test_on_a_sphere_normals_turn_by_one_over_its_radius(subdivisions: int) -> None:
    field = field_of(trimesh.creation.icosphere(subdivisions, RADIUS))
    outward = field.places / np.linalg.norm(field.places, axis=1)[:, None]
    along = np.eye(3) - outward[:, :, None] * outward[:, None]
    assert field.known.all()
    # Across the surface, where nothing is measured, the fit says little.
    turns = along @ field.turns @ along
    np.testing.assert_allclose(turns, along / RADIUS, atol=0.03 / RADIUS)
    np.testing.assert_allclose(field.normals, outward, atol=0.01)


def test_along_a_cylinder_they_do_not_turn() -> None:
    body = trimesh.creation.cylinder(RADIUS, 120, sections=180)
    field = field_of(body.subdivide_to_size(4.0))
    middle = field.known & (np.abs(field.places[:, 2]) < 40)
    middle &= np.linalg.norm(field.places[:, :2], axis=1) > 0.9 * RADIUS
    axis = np.array([0.0, 0.0, 1.0])
    assert np.abs(field.turns[middle] @ axis).max() < 0.02 / RADIUS
    around = np.cross(axis, field.normals[middle])
    turned = np.einsum("kab,kb->ka", field.turns[middle], around)
    np.testing.assert_allclose(turned, around / RADIUS, atol=0.05 / RADIUS)


def test_a_place_with_little_surface_around_is_not_known() -> None:
    corner = np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])
    cells = EvenPoints(corner, np.tile([0.0, 0, 1], (3, 1)), np.ones(3), np.zeros(3))
    assert not NormalField(cells).known.any()


def test_the_other_wall_has_no_part() -> None:
    """A smaller sphere beside the first from within, facing inwards: a wall of 3 to 7 mm."""
    outer = trimesh.creation.icosphere(5, RADIUS)
    inner = trimesh.creation.icosphere(5, RADIUS - 5)
    inner.invert()
    inner.apply_translation([2.0, 0.0, 0.0])
    both = field_of(trimesh.util.concatenate([outer, inner]))
    outside = np.linalg.norm(both.places, axis=1) > RADIUS - 1.0
    outward = both.places[outside] / np.linalg.norm(both.places[outside], axis=1)[:, None]
    apart = np.linalg.norm(both.normals[outside] - outward, axis=1)
    # Of the thinnest wall a few cells hold both sides.
    assert np.mean(apart < 0.03) > 0.95


def test_large_residuals_hardly_count() -> None:
    factors = robust_factor(np.array([0.0, 1.0, 10.0]), 1.0)
    np.testing.assert_allclose(factors, [1.0, 0.25, 1 / 101**2])


def test_a_turned_normal_is_found_further_along_the_sphere() -> None:
    """By the radius times the angle, in the direction in which it is turned; across, nothing."""
    field, count = field_of(trimesh.creation.icosphere(5, RADIUS)), 40
    places, smoothed = field.places[:count], field.normals[:count]
    outward = smoothed / np.linalg.norm(smoothed, axis=1)[:, None]
    turned = np.cross(outward, [0.0, 0.0, 0.02])
    # Each point has a node of its own, and none has moved yet.
    rows, still = np.arange(count), np.zeros((count, 3))
    planes = PlaneConstraints(rows, places, places, outward, np.zeros(count), np.ones(count))
    forms = turning_forms(still, smoothed + turned, planes, field, 1.0)
    matrix, right = Assembly(sparse.identity(count, format="csr"))(rows, *forms)
    moved = np.linalg.lstsq(matrix, right, rcond=1e-6)[0].reshape(3, -1).T
    np.testing.assert_allclose(moved, RADIUS * turned, atol=0.06 * RADIUS * 0.02)


def test_the_spread_of_normal_residuals_is_their_standard_deviation() -> None:
    residuals = np.random.default_rng(0).normal(0.0, 0.7, 50_000)
    assert robust_spread(residuals, np.ones(50_000)) == pytest.approx(0.7, rel=0.02)


def test_outliers_and_what_has_no_weight_change_the_spread_little() -> None:
    rng = np.random.default_rng(1)
    residuals = rng.normal(0.0, 0.7, 20_000)
    far = residuals + np.where(rng.random(20_000) < 0.1, 50.0, 0.0)
    ours = robust_spread(residuals, np.ones(20_000))
    assert robust_spread(far, np.ones(20_000)) < 1.25 * ours
    weights = (far == residuals).astype(float)
    assert robust_spread(far, weights) == pytest.approx(ours, rel=0.02)


def test_normal_equations_are_those_of_weighted_least_squares() -> None:
    """Against a dense solution, point by point and axis by axis; points may share a row."""
    rng = np.random.default_rng(2)
    basis, points, targets = rng.random((20, 4)), rng.random((30, 3)), rng.random((30, 3))
    normals, shared = rng.standard_normal((30, 3)), rng.integers(0, 20, 30)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    residuals, weights = rng.standard_normal(30), rng.random(30)
    pulls = PlaneConstraints(shared, points, targets, normals, residuals, weights)
    matrix, right = Assembly(sparse.csr_matrix(basis))(shared, *pulls.forms(0.8))
    rows = np.einsum("nc,nm->ncm", normals, basis[shared]).reshape(30, 12)
    trust = weights / (1 + (residuals / (OUTLIER * 0.8)) ** 2) ** 2
    wanted = ((targets - points) * normals).sum(1)
    np.testing.assert_allclose(matrix, rows.T @ (rows * trust[:, None]) / 0.8**2)
    np.testing.assert_allclose(right, rows.T @ (trust * wanted) / 0.8**2)
