"""The triangle surface of a mesh and the points of it closest to others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from ..recon.mesh import Mesh
from .similarity import Similarity
from .triangles import (
    Float64Array,
    IndexArray,
    closest_barycentric,
    edge_normals,
    find_edges,
    triangle_areas,
    triangle_normals,
    vertex_normals,
)


@dataclass(frozen=True)
class ClosestPoints:
    """For each of N query points, the closest point of a surface.

    Attributes:
        position: (N, 3), mm.
        triangle: (N,) index into the surface's triangles.
        normal: (N, 3) unit normal of the surface there: the triangle's inside a triangle, the mean
            of two at an edge, the angle-weighted one at a vertex, so that it does not depend on
            how a flat part is cut into triangles.
        distance: (N,) mm.
        on_boundary: (N,) bool, whether the point lies on the rim of the surface or of a hole.
    """

    position: Float64Array
    triangle: IndexArray
    normal: Float64Array
    distance: Float64Array
    on_boundary: NDArray[np.bool_]

    def moved(self, transform: Similarity) -> ClosestPoints:
        """The same points after a similarity transform of surface and queries."""
        return replace(
            self,
            position=transform.apply(self.position),
            normal=transform.turn(self.normal),
            distance=self.distance * transform.scale,
        )


class Surface:
    """A triangle surface prepared for closest-point queries.

    Vertices at one position are taken as one, so that texture seams are no boundary, and both
    vertices and triangles are put in an order of their own: results do not depend on the file's.

    Attributes:
        vertices: (V, 3) float64, mm, in lexicographic order.
        triangles: (F, 3) int64.
        normals: (V, 3) unit vertex normals, angle-weighted.
        vertex_of: (V of the mesh,) where each vertex of the mesh went, -1 if no triangle used it.
        on_boundary: (V,) bool, vertices on a rim.
    """

    def __init__(self, mesh: Mesh) -> None:
        vertices = np.asarray(mesh.vertices, np.float64)
        triangles = _solid(vertices, np.asarray(mesh.triangles, np.int64))
        self.vertices, self.vertex_of = _weld(vertices, triangles)
        self.triangles = _order(self.vertex_of[triangles])
        self.normals = vertex_normals(self.vertices, self.triangles)
        self._features = _Features.of(self.vertices, self.triangles, self.normals)
        self.on_boundary = self._features.on_boundary[-len(self.vertices) :]
        self._centre = (self.vertices.min(0) + self.vertices.max(0)) / 2
        self._scene = _scene(self.vertices - self._centre, self.triangles)

    def closest(self, points: Float64Array) -> ClosestPoints:
        """Closest points of the surface to (N, 3) points, exact to float64."""
        points = np.asarray(points, np.float64)
        triangle, weights = self._settle(points, self._nearest_triangle(points))
        position = self._position(triangle, weights)
        feature = self._features.holding(self.triangles, triangle, weights)
        return ClosestPoints(
            position,
            triangle,
            self._features.normals[feature],
            np.linalg.norm(points - position, axis=1),
            self._features.on_boundary[feature],
        )

    def _nearest_triangle(self, points: Float64Array) -> IndexArray:
        query = o3d.core.Tensor(np.ascontiguousarray(points - self._centre, np.float32))
        found = self._scene.compute_closest_points(query)["primitive_ids"].numpy()
        return np.asarray(found, np.int64)

    def _weights(self, points: Float64Array, triangle: IndexArray) -> Float64Array:
        return closest_barycentric(points, self.vertices[self.triangles[triangle]])

    def _position(self, triangle: IndexArray, weights: Float64Array) -> Float64Array:
        corners = self.vertices[self.triangles[triangle]]
        return np.asarray((weights[:, :, None] * corners).sum(1))

    def _settle(
        self, points: Float64Array, triangle: IndexArray
    ) -> tuple[IndexArray, Float64Array]:
        """Choose in float64 among the triangles that meet where the found one was closest.

        The search is in float32, and beside a convex edge it can return the wrong neighbour: the
        distance is the same to 1e-5 mm, but the normal is not.
        """
        weights = self._weights(points, triangle)
        clamped = np.flatnonzero((weights == 0).any(1))
        feature = self._features.holding(self.triangles, triangle[clamped], weights[clamped])
        group, candidate = self._features.triangles_at(feature)
        query = clamped[group]
        candidate_weights = self._weights(points[query], candidate)
        offset = points[query] - self._position(candidate, candidate_weights)
        best = _argmin_of_groups((offset**2).sum(1), query)
        triangle[query[best]], weights[query[best]] = candidate[best], candidate_weights[best]
        return triangle, weights


@dataclass(frozen=True)
class _Features:
    """What a closest point can lie on: the faces, then the edges, then the vertices of a mesh.

    Attributes:
        normals: (F + E + V, 3).
        on_boundary: (F + E + V,) bool.
        edge_of: (F, 3) edge opposite to each corner.
        first_vertex: F + E, where the vertices begin.
        first, incident: the triangles at feature i are `incident[first[i]:first[i + 1]]`.
    """

    normals: Float64Array
    on_boundary: NDArray[np.bool_]
    edge_of: IndexArray
    first_vertex: int
    first: IndexArray
    incident: IndexArray

    @classmethod
    def of(
        cls, vertices: Float64Array, triangles: IndexArray, normals_at_vertices: Float64Array
    ) -> _Features:
        """Collect the features of a mesh."""
        n_faces, n_vertices = len(triangles), len(vertices)
        normals, edges = triangle_normals(vertices, triangles), find_edges(triangles)
        at_vertices = np.zeros(n_vertices, bool)
        at_vertices[edges.vertices[edges.on_boundary]] = True
        n_edges = len(edges.vertices)
        face, edge = np.arange(n_faces), n_faces + edges.of_triangle
        owner = np.concatenate([face, edge.ravel(), (n_faces + n_edges + triangles).ravel()])
        triangle = np.concatenate([face, np.repeat(face, 3), np.repeat(face, 3)])
        counts = np.bincount(owner, minlength=n_faces + n_edges + n_vertices)
        return cls(
            np.concatenate([normals, edge_normals(normals, edges), normals_at_vertices]),
            np.concatenate([np.zeros(n_faces, bool), edges.on_boundary, at_vertices]),
            edges.of_triangle,
            n_faces + n_edges,
            np.r_[0, np.cumsum(counts)],
            triangle[np.argsort(owner, kind="stable")],
        )

    def holding(
        self, triangles: IndexArray, triangle: IndexArray, weights: Float64Array
    ) -> IndexArray:
        """The feature (N,) that holds the point of barycentric weights (N, 3) in each triangle."""
        zeros = (weights == 0).sum(1)
        feature = triangle.copy()
        edge = np.flatnonzero(zeros == 1)
        feature[edge] = len(triangles) + self.edge_of[triangle[edge], weights[edge].argmin(1)]
        vertex = np.flatnonzero(zeros == 2)
        corner = triangles[triangle[vertex], weights[vertex].argmax(1)]
        feature[vertex] = self.first_vertex + corner
        return feature

    def triangles_at(self, feature: IndexArray) -> tuple[IndexArray, IndexArray]:
        """All triangles at features (N,): for each, which of the N it belongs to, and its index."""
        counts = self.first[feature + 1] - self.first[feature]
        group = np.repeat(np.arange(len(feature)), counts)
        step = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
        return group, self.incident[np.repeat(self.first[feature], counts) + step]


def _solid(vertices: Float64Array, triangles: IndexArray) -> IndexArray:
    """The triangles that have an area."""
    return triangles[triangle_areas(vertices, triangles) > 0]


def _weld(vertices: Float64Array, triangles: IndexArray) -> tuple[Float64Array, IndexArray]:
    """Distinct positions of corners in lexicographic order, and where each vertex went, else -1."""
    used = np.unique(triangles)
    order = used[np.lexsort(vertices[used].T[::-1])]
    ordered = vertices[order]
    is_new = np.r_[True, (ordered[1:] != ordered[:-1]).any(1)]
    vertex_of = np.full(len(vertices), -1)
    vertex_of[order] = np.cumsum(is_new) - 1
    return ordered[is_new], vertex_of


def _order(triangles: IndexArray) -> IndexArray:
    """Triangles with their smallest corner first, in lexicographic order."""
    turn = (triangles.argmin(1)[:, None] + np.arange(3)) % 3
    turned = np.take_along_axis(triangles, turn, axis=1)
    return turned[np.lexsort(turned.T[::-1])]


def _scene(vertices: Float64Array, triangles: IndexArray) -> o3d.t.geometry.RaycastingScene:
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(vertices.astype(np.float32)), o3d.core.Tensor(triangles.astype(np.uint32))
    )
    return scene


def _argmin_of_groups(values: Float64Array, group: IndexArray) -> IndexArray:
    """Index of the smallest value in each run of equal group numbers, the first of equals."""
    order = np.lexsort((values, group))
    return order[np.r_[True, group[order][1:] != group[order][:-1]]] if len(order) else order
