from dataclasses import replace

import numpy as np

from facebench.bench.surface.surface import Surface
from facebench.bench.surface.triangles import closest_on_facets, facets_of
from facebench.recon.mesh import Mesh


def around(mesh: Mesh, n: int, spread_mm: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    chosen = mesh.vertices[rng.integers(len(mesh.vertices), size=n)]
    return chosen + spread_mm * rng.standard_normal((n, 3))


def test_closest_points_agree_with_trying_every_triangle(person: Mesh) -> None:
    points = around(person, 60, 8.0)
    found = Surface(person).closest(points)
    corners = np.asarray(person.vertices)[person.triangles]
    facets, every = facets_of(corners), np.arange(len(corners))
    for point, distance in zip(points, found.distance, strict=True):
        _, position = closest_on_facets(facets, np.repeat(point[None], len(corners), 0), every)
        assert abs(np.linalg.norm(position - point, axis=1).min() - distance) < 1e-9


def test_far_from_the_origin_nothing_is_lost(person: Mesh) -> None:
    points, shift = around(person, 500, 3.0), np.array([900.0, -800.0, 700.0])
    here = Surface(person).closest(points)
    there = Surface(replace(person, vertices=person.vertices + shift)).closest(points + shift)
    np.testing.assert_allclose(there.distance, here.distance, atol=1e-10)


def test_a_moved_surface_is_that_of_the_moved_mesh(person: Mesh, any_pose) -> None:
    surface, pose = Surface(person), any_pose(2, 1.3)
    points = around(person, 500, 3.0)
    before = surface.closest(points, boundary=20.0)
    moved = surface.moved(pose)
    anew = Surface(replace(person, vertices=pose.apply(np.asarray(person.vertices, np.float64))))
    np.testing.assert_array_equal(moved.triangles, anew.triangles)
    for name in ("vertices", "local", "normals", "areas", "corners"):
        np.testing.assert_allclose(getattr(moved, name), getattr(anew, name), atol=1e-9)
    found, wanted = moved.closest(pose.apply(points), boundary=26.0), before.moved(pose)
    for name in ("position", "normal", "distance", "to_boundary"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=1e-9)
    np.testing.assert_array_equal(surface.closest(points).position, before.position)


def test_order_and_cut_of_flat_parts_do_not_move_points_or_normals(person: Mesh, subdivide) -> None:
    points = around(person, 3000, 2.0)
    found = Surface(person).closest(points)
    fine = subdivide(person)
    order = np.random.default_rng(1).permutation(len(fine.vertices))
    shuffled = Mesh(fine.vertices[order], np.argsort(order)[fine.triangles[::-1]])
    again = Surface(shuffled).closest(points)
    np.testing.assert_allclose(again.distance, found.distance, atol=1e-9)
    same = np.linalg.norm(again.position - found.position, axis=1) < 1e-6
    assert same.mean() > 0.999  # a point in the middle between two sheets may take either
    np.testing.assert_allclose(again.normal[same], found.normal[same], atol=1e-6)
    assert (again.on_boundary[same] == found.on_boundary[same]).all()


def test_a_texture_seam_is_no_boundary(person: Mesh) -> None:
    seamed = Mesh(
        person.vertices[person.triangles].reshape(-1, 3),
        np.arange(person.triangles.size).reshape(-1, 3),
    )
    whole, cut = Surface(person), Surface(seamed)
    np.testing.assert_array_equal(cut.vertices, whole.vertices)
    np.testing.assert_array_equal(cut.on_boundary, whole.on_boundary)


def test_what_no_triangle_uses_is_left_out(person: Mesh) -> None:
    n = len(person.vertices)
    stray = Mesh(
        np.concatenate([person.vertices, [[1e4, 0, 0], [2e4, 0, 0]]]),
        np.concatenate([person.triangles, [[0, 0, n], [3, 3, 3]]]),
    )
    surface = Surface(stray)
    np.testing.assert_array_equal(surface.vertices, Surface(person).vertices)
    assert surface.vertex_of[n:].tolist() == [-1, -1]


def test_rim_of_a_plane() -> None:
    x, y = np.meshgrid(np.arange(11.0) * 10, np.arange(11.0) * 10, indexing="ij")
    index = np.arange(121).reshape(11, 11)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    triangles = np.concatenate(
        [np.stack([p.ravel() for p in t], 1) for t in ((a, b, c), (a, c, d))]
    )
    plane = Surface(Mesh(np.stack([x, y, 0 * x], -1).reshape(-1, 3), triangles))
    found = plane.closest(np.array([[33.0, 47, 5], [50, 50, -2], [-3, 4, 0], [103, 104, 0]]))
    assert found.on_boundary.tolist() == [False, False, True, True]
    np.testing.assert_allclose(found.distance, [5, 2, 3, 5], atol=1e-12)
    np.testing.assert_allclose(np.abs(found.normal[:, 2]), 1, atol=1e-12)
