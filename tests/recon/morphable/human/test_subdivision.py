"""Catmull-Clark subdivision of some faces of a mesh."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.recon.morphable.human.subdivision import cut_quads, refine, refine_flat

CUBE = np.array(
    [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
)
CORNERS = np.array(
    [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], float
)
NONE = np.zeros((0, 3), np.int64)


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Quads and vertices of a square of side² faces in the plane z = 0."""
    number = np.arange((side + 1) ** 2).reshape(side + 1, side + 1)
    quads = np.stack(
        [number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]], axis=-1
    ).reshape(-1, 4)
    y, x = np.divmod(np.arange((side + 1) ** 2), side + 1)
    return quads, np.stack([x, y, np.zeros_like(x)], axis=1).astype(float)


def test_a_cube_becomes_what_catmull_and_clark_say() -> None:
    matrix, quads, triangles, edge_vertex = refine(CUBE, 8, np.ones(6, bool))
    points = matrix @ CORNERS
    assert matrix.shape == (26, 8) and len(quads) == 24 and not len(triangles)
    # (F + 2 R) / 3 with F and R a third and a sixth of the way along each axis.
    np.testing.assert_allclose(points[0], np.full(3, 2 / 9))
    # An edge's vertex: a quarter of its ends and of the centres of its two faces.
    edge = edge_vertex[0, 1]
    np.testing.assert_allclose(points[edge], [0.5, 0.125, 0.125])
    np.testing.assert_allclose(points[20:].mean(axis=0), np.full(3, 0.5))


@pytest.mark.parametrize("chosen", [[12], [6, 7, 12, 13], [0, 1, 2], list(range(25))])
def test_a_plane_stays_itself_whatever_is_split(chosen: list[int]) -> None:
    """No crack, no fold, no hole: the triangles cover the square once."""
    quads, vertices = _grid(5)
    wanted = np.isin(np.arange(25), chosen)
    matrix, fine, fans, _ = refine(quads, len(vertices), wanted)
    points = matrix @ vertices
    np.testing.assert_allclose(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
    triangles = np.concatenate([cut_quads(fine, np.ones(len(fine), bool)), fans])
    a, b, c = (points[triangles[:, i], :2] for i in range(3))
    area = np.cross(b - a, c - a) / 2
    assert area.min() > 0.0 and area.sum() == pytest.approx(25.0)
    sides = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, count = np.unique(sides, axis=0, return_counts=True)
    middle = points[edges[count == 1]].mean(axis=1)
    # Edges of one triangle only lie on the square's own border.
    assert (np.isclose(middle[:, :2], 0.0) | np.isclose(middle[:, :2], 5.0)).any(axis=1).all()


def test_vertices_at_the_border_of_what_is_split_stay() -> None:
    quads, vertices = _grid(4)
    vertices[:, 2] = np.random.default_rng(0).normal(size=len(vertices))
    wanted = np.isin(np.arange(16), [5, 6, 9, 10])
    points = refine(quads, len(vertices), wanted)[0] @ vertices
    moved = np.abs(points[: len(vertices)] - vertices).max(axis=1) > 0
    # Only the vertex in the middle of the four faces is surrounded by them.
    np.testing.assert_array_equal(np.flatnonzero(moved), [12])


def test_texture_is_split_in_the_order_of_the_mesh() -> None:
    quads, vertices = _grid(4)
    wanted = np.isin(np.arange(16), [5, 6])
    # Every face has texture corners of its own: all edges are seams.
    uv = vertices[quads].reshape(-1, 3)[:, :2] / 4.0
    matrix, fine, triangles, _ = refine(quads, len(vertices), wanted)
    places, uv_quads, uv_triangles = refine_flat(
        uv, np.arange(64).reshape(16, 4), NONE, quads, wanted
    )
    points = matrix @ vertices
    assert uv_quads.shape == fine.shape and uv_triangles.shape == triangles.shape
    np.testing.assert_allclose(places[uv_triangles], points[triangles][..., :2] / 4.0)
    assert np.abs(places[uv_quads] - points[fine][..., :2] / 4.0).max() < 0.07
