"""Points spread over a surface: what they stand for, and that triangles hardly move them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from facebench.bench.registration.deformation import SmoothField
from facebench.bench.registration.even_points import (
    CarriedPoints,
    EvenPoints,
    even_nodes,
    even_points,
)
from facebench.bench.surface.region import Sphere
from facebench.bench.surface.similarity import Similarity
from facebench.bench.surface.surface import Surface
from facebench.recon.mesh import Mesh

RADIUS, SPACING = 60.0, 7.0
WHOLE, STILL = Sphere.everywhere(), Similarity.identity()


def ball(subdivisions: int = 5) -> Surface:
    body = trimesh.creation.icosphere(subdivisions, RADIUS)
    return Surface(Mesh(body.vertices, body.faces))


@pytest.fixture(scope="module")
def points() -> EvenPoints:
    return even_points(ball(), WHOLE, STILL, SPACING)


def test_they_stand_for_the_whole_surface(points: EvenPoints) -> None:
    sphere = 4 * np.pi * RADIUS**2
    assert points.areas.sum() == pytest.approx(sphere, rel=0.01)
    # Each cell of a grid that a surface crosses has some three corners around it.
    assert 2 < len(points.areas) / (sphere / SPACING**2) < 4


def test_they_lie_on_the_surface_with_its_normals(points: EvenPoints) -> None:
    away = np.linalg.norm(points.positions, axis=1)
    np.testing.assert_allclose(away, RADIUS, atol=0.02)
    assert (points.normals * points.positions).sum(1).min() > 0.99 * RADIUS
    assert np.isinf(points.to_boundary).all()


def test_other_triangles_hardly_move_them(face: Mesh, subdivide) -> None:
    """Where a vertex chosen out of each cell is another one, millimetres away."""
    surface, finer = Surface(face, 2.5), Surface(subdivide(face), 2.5)
    inside = Sphere(np.asarray(face.vertices, np.float64)[face.landmarks[30]], 95.0)
    mine, other = (even_points(one, inside, surface.frame, SPACING) for one in (surface, finer))
    apart = cKDTree(other.positions).query(mine.positions)[0]
    assert np.average(apart, weights=mine.areas) < 0.05
    nodes, others = (
        even_nodes(spread, one, surface.frame, 16.0)
        for spread, one in ((mine, surface), (other, finer))
    )
    assert np.median(cKDTree(others).query(nodes)[0]) < 0.1
    assert abs(len(nodes) - len(others)) <= 3


def test_they_turn_with_the_frame(face: Mesh, any_pose) -> None:
    """To the last bits, on a symmetric face too, whose middle lies between cells."""
    pose = any_pose(5)
    vertices = np.asarray(face.vertices, np.float64)
    surface, moved = Surface(face), Surface(replace(face, vertices=pose.apply(vertices)))
    here = even_points(surface, WHOLE, surface.frame, SPACING)
    there = even_points(moved, WHOLE, moved.frame, SPACING)
    np.testing.assert_allclose(there.positions, pose.apply(here.positions), atol=1e-6)
    np.testing.assert_allclose(there.areas, here.areas, atol=1e-6)
    nodes = even_nodes(here, surface, surface.frame, 16.0)
    turned = even_nodes(there, moved, moved.frame, 16.0)
    np.testing.assert_allclose(turned, pose.apply(nodes), atol=1e-6)


def test_of_no_surface_there_are_none() -> None:
    nowhere = Sphere(np.full(3, 500.0), 10.0)
    assert not len(even_points(ball(3), nowhere, STILL, SPACING).areas)


def test_normals_turn_as_those_of_the_deformed_surface_do(points: EvenPoints) -> None:
    """Against the normals of an ellipsoid, into which a stretch takes the ball."""
    field = SmoothField(even_nodes(points, ball(), STILL, 16.0), 16.0, 80.0)
    stretch = np.array([0.2, -0.1, 0.05])
    positions, normals = CarriedPoints(points, field, STILL).moved(field.nodes * stretch)
    np.testing.assert_allclose(positions, points.positions * (1 + stretch), atol=0.3)
    wanted = points.positions / (1 + stretch)
    wanted /= np.linalg.norm(wanted, axis=1)[:, None]
    assert np.median(np.linalg.norm(normals - wanted, axis=1)) < 0.01
