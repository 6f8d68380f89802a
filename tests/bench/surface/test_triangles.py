import numpy as np

from facebench.bench.surface.triangles import (
    Edges,
    double_areas,
    triangle_areas,
    vertex_normals,
)
from facebench.recon.mesh import Mesh


def test_vertex_normals_are_those_of_the_surface_not_of_its_triangles(
    person: Mesh, subdivide
) -> None:
    fine = subdivide(person)
    n = len(person.vertices)
    coarse_normals = vertex_normals(person.vertices, np.asarray(person.triangles, np.int64))
    fine_normals = vertex_normals(fine.vertices, fine.triangles)
    np.testing.assert_allclose(fine_normals[:n], coarse_normals, atol=1e-10)


def test_edges_of_a_closed_and_an_open_cube() -> None:
    quads = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
    triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    closed = Edges(triangles)
    assert len(closed.vertices) == 18
    assert not closed.on_boundary.any()
    opened = Edges(triangles[2:])
    assert opened.on_boundary.sum() == 4
    rim = opened.vertices[opened.on_boundary]
    assert set(rim.ravel().tolist()) == {0, 1, 2, 3}
    first_edge = opened.vertices[opened.of_triangle[0, 0]]
    assert set(first_edge.tolist()) == set(triangles[2][1:].tolist())


def test_area_and_direction_of_a_known_triangle() -> None:
    vertices, triangles = np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]), np.array([[0, 1, 2]])
    assert triangle_areas(vertices, triangles).tolist() == [6.0]
    assert double_areas(vertices, triangles).tolist() == [[0, 0, 12]]
