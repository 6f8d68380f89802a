"""Exact geometry of triangles in float64: closest points, normals and edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
IndexArray = NDArray[np.int64]


def closest_barycentric(points: Float64Array, corners: Float64Array) -> Float64Array:
    """Barycentric coordinates (N, 3) of the point of each triangle closest to each point.

    A coordinate is exactly zero where the closest point lies on an edge or a corner, so that
    callers can tell interior, edge and corner apart without a tolerance.

    Args:
        points: (N, 3).
        corners: (N, 3, 3), the triangle that belongs to each point.

    Source: the Voronoi regions of a triangle, Ericson, Real-Time Collision Detection, 5.1.5.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac = b - a, c - a
    d1, d2 = _dot(ab, points - a), _dot(ac, points - a)
    d3, d4 = _dot(ab, points - b), _dot(ac, points - b)
    d5, d6 = _dot(ab, points - c), _dot(ac, points - c)
    area_a, area_b, area_c = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    along_ab = _ratio(d1, d1 - d3)
    along_ac = _ratio(d2, d2 - d6)
    along_bc = _ratio(d4 - d3, (d4 - d3) + (d5 - d6))
    inside_b, inside_c = (
        _ratio(area_b, area_a + area_b + area_c),
        _ratio(area_c, area_a + area_b + area_c),
    )
    regions = [
        (d1 <= 0) & (d2 <= 0),
        (d3 >= 0) & (d4 <= d3),
        (d6 >= 0) & (d5 <= d6),
        (area_c <= 0) & (d1 >= 0) & (d3 <= 0),
        (area_b <= 0) & (d2 >= 0) & (d6 <= 0),
        (area_a <= 0) & (d4 - d3 >= 0) & (d5 - d6 >= 0),
    ]
    zero, one = np.zeros(len(points)), np.ones(len(points))
    weight_b = np.select(regions, [zero, one, zero, along_ab, zero, 1 - along_bc], inside_b)
    weight_c = np.select(regions, [zero, zero, one, zero, along_ac, along_bc], inside_c)
    weight_a = np.select(
        regions, [one, zero, zero, 1 - along_ab, 1 - along_ac, zero], 1 - inside_b - inside_c
    )
    return np.stack([weight_a, weight_b, weight_c], axis=1)


def triangle_normals(vertices: Float64Array, triangles: IndexArray) -> Float64Array:
    """Unit normals (F, 3) by the right-hand rule; zero for a triangle without area."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    return unit(np.cross(b - a, c - a))


def triangle_areas(vertices: Float64Array, triangles: IndexArray) -> Float64Array:
    """Areas (F,) in the square of the vertices' unit."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    areas: Float64Array = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    return areas


def vertex_normals(vertices: Float64Array, triangles: IndexArray) -> Float64Array:
    """Unit normals (V, 3), each the sum of its triangles' normals weighted by their angle.

    The angle weights make the normal one of the surface, not of how it is cut into triangles.
    Source: Thürmer and Wüthrich 1998; Bærentzen and Aanæs 2005.
    """
    weighted = (
        _corner_angles(vertices, triangles)[:, :, None]
        * (triangle_normals(vertices, triangles)[:, None])
    )
    return unit(_sum_at(triangles.ravel(), weighted.reshape(-1, 3), len(vertices)))


@dataclass(frozen=True)
class Edges:
    """The edges of a mesh.

    Attributes:
        of_triangle: (F, 3) edge of each triangle opposite to its first, second and third corner.
        vertices: (E, 2) the two ends, the smaller index first.
        on_boundary: (E,) bool, edges of exactly one triangle.
    """

    of_triangle: IndexArray
    vertices: IndexArray
    on_boundary: NDArray[np.bool_]


def find_edges(triangles: IndexArray) -> Edges:
    """Number the edges of (F, 3) triangles."""
    ends = np.sort(triangles[:, [[1, 2], [2, 0], [0, 1]]].reshape(-1, 2), axis=1)
    span = int(triangles.max()) + 1 if triangles.size else 1
    codes, of_triangle, counts = np.unique(
        ends[:, 0] * span + ends[:, 1], return_inverse=True, return_counts=True
    )
    return Edges(
        of_triangle.reshape(-1, 3), np.stack([codes // span, codes % span], axis=1), counts == 1
    )


def edge_normals(normals: Float64Array, edges: Edges) -> Float64Array:
    """Unit normals (E, 3), the mean of the normals (F, 3) of the triangles at each edge."""
    repeated = np.repeat(normals, 3, axis=0)
    return unit(_sum_at(edges.of_triangle.ravel(), repeated, len(edges.vertices)))


def unit(vectors: Float64Array) -> Float64Array:
    """Vectors (…, 3) divided by their length; zero stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0))


def _corner_angles(vertices: Float64Array, triangles: IndexArray) -> Float64Array:
    corners = vertices[triangles]
    forward = unit(np.roll(corners, -1, axis=1) - corners)
    backward = unit(np.roll(corners, 1, axis=1) - corners)
    return np.asarray(np.arccos(np.clip((forward * backward).sum(-1), -1.0, 1.0)))


def _sum_at(index: IndexArray, values: Float64Array, length: int) -> Float64Array:
    return np.stack([np.bincount(index, column, length) for column in values.T], axis=1)


def _dot(a: Float64Array, b: Float64Array) -> Float64Array:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _ratio(numerator: Float64Array, denominator: Float64Array) -> Float64Array:
    """Quotient where it is defined, else zero: callers select it only where it is."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)
