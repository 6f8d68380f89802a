"""Normals that turn: against spheres and cylinders, whose shape operators are known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from facebench.bench.registration.constraints import NormalField, robust_factor
from facebench.bench.surface.surface import Surface
from facebench.recon.mesh import Mesh

RADIUS = 60.0


def field_of(body: trimesh.Trimesh) -> NormalField:
    surface = Surface(Mesh(body.vertices, body.faces))
    return NormalField(surface, np.arange(len(surface.vertices)))


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
    body = trimesh.creation.cylinder(RADIUS, 200, sections=180)
    field = field_of(body.subdivide_to_size(3.0))
    middle = field.known & (np.abs(field.places[:, 2]) < 60)
    middle &= np.linalg.norm(field.places[:, :2], axis=1) > 0.9 * RADIUS
    axis = np.array([0.0, 0.0, 1.0])
    assert np.abs(field.turns[middle] @ axis).max() < 0.02 / RADIUS
    around = np.cross(axis, field.normals[middle])
    turned = np.einsum("kab,kb->ka", field.turns[middle], around)
    np.testing.assert_allclose(turned, around / RADIUS, atol=0.05 / RADIUS)


def test_a_place_with_little_surface_around_is_not_known() -> None:
    corner = Mesh(np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]]), np.array([[0, 1, 2]]))
    assert not NormalField(Surface(corner), np.arange(3)).known.any()


def test_the_other_wall_has_no_part() -> None:
    """A second sphere 2 mm inside of the first, facing inwards, leaves its normals as they are."""
    outer = trimesh.creation.icosphere(5, RADIUS)
    inner = trimesh.creation.icosphere(5, RADIUS - 5)
    inner.invert()
    both = field_of(trimesh.util.concatenate([outer, inner]))
    outside = np.linalg.norm(both.places, axis=1) > RADIUS - 2.5
    outward = both.places[outside] / np.linalg.norm(both.places[outside], axis=1)[:, None]
    # The two lie in cells of their own; those of the other side are left out of the fit.
    assert np.einsum("ka,ka->k", both.normals[outside], outward).min() > 0.9


def test_large_residuals_hardly_count() -> None:
    factors = robust_factor(np.array([0.0, 1.0, 10.0]), 1.0)
    np.testing.assert_allclose(factors, [1.0, 0.25, 1 / 101**2])
