"""A thinned mesh is the same surface with the same errors and fewer triangles."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.bench.meshes.clean import decimate
from facebench.bench.surface.triangles import double_areas, triangle_areas
from facebench.recon.mesh import Mesh

RADIUS = 80.0


@pytest.fixture(scope="module")
def ball() -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions=5, radius=RADIUS)
    return Mesh(np.asarray(sphere.vertices), np.asarray(sphere.faces, np.int32))


@pytest.mark.parametrize("wanted", [500, 3000, 9000])
def test_no_more_than_asked_for_and_not_far_fewer(ball: Mesh, wanted: int) -> None:
    count = len(decimate(ball, np.zeros(len(ball.vertices)), wanted)[0].triangles)
    assert wanted / 2.5 < count <= wanted


def test_the_surface_stays(ball: Mesh) -> None:
    found, _ = decimate(ball, np.zeros(len(ball.vertices)), 4000)
    centres = found.vertices[found.triangles].mean(axis=1)
    outward = (double_areas(found.vertices, found.triangles) * centres).sum(axis=1)
    assert (np.abs(np.linalg.norm(found.vertices, axis=1) - RADIUS) < 1.0).all()
    assert (outward > 0).mean() > 0.99
    area = triangle_areas(found.vertices, found.triangles).sum()
    assert area == pytest.approx(4 * np.pi * RADIUS**2, rel=0.03)


@settings(max_examples=10)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.integers(200, 30_000))
def test_an_error_that_is_linear_in_space_stays_exact(slope: list[float], wanted: int) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=RADIUS)
    mesh = Mesh(np.asarray(sphere.vertices), np.asarray(sphere.faces, np.int32))
    found, errors = decimate(mesh, mesh.vertices @ slope, wanted)
    np.testing.assert_allclose(errors, found.vertices @ slope, atol=1e-9)


def test_what_was_not_measured_stays_unmeasured(ball: Mesh) -> None:
    errors = np.where(ball.vertices[:, 0] > 0, 2.0, np.nan)
    found, left = decimate(ball, errors, 2000)
    known = ~np.isnan(left)
    assert (left[known] == 2.0).all()
    side = 15.0
    assert known[found.vertices[:, 0] > side].all()
    assert not known[found.vertices[:, 0] < -side].any()


def test_a_small_mesh_only_loses_what_no_triangle_uses() -> None:
    vertices = np.array([[0, 0, 0], [9, 9, 9], [1, 0, 0], [0, 1, 0], [np.nan, 0, 0]], float)
    mesh = Mesh(vertices, np.array([[0, 2, 3], [0, 2, 4]], np.int32))
    found, errors = decimate(mesh, np.arange(5.0))
    np.testing.assert_array_equal(errors, [0, 2, 3])
    np.testing.assert_array_equal(found.triangles, [[0, 1, 2]])
