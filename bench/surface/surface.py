"""The triangle surface of a mesh, and the search for its points closest to others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from ...recon.mesh.record import Mesh
from .closest_points import ClosestPoints
from .facets import Facets
from .ordering import order_triangles, weld
from .principal_frame import principal_frame
from .rim import Rim
from .triangles import (
    Edges,
    Float64Array,
    Groups,
    IndexArray,
    corners_of,
    cross_rows,
    dot_rows,
    find_edges,
    lengths,
    normals_at,
    sides_of,
    unit,
)

MAX_ROUNDS = 20
"""Of going on to a neighbouring triangle; two or three end it."""
EDGE, VERTEX = 1, 2
"""What a closest point lies on where that is no face: as many of its weights are zero."""


class Surface:
    """A triangle surface prepared for closest-point queries.

    Vertices at one position are taken as one, so that texture seams are no boundary. Vertices and
    triangles are put in an order of their own, by the coordinates in a frame that moves with the
    surface: results depend neither on the file's order nor on where the surface lies.

    Attributes:
        vertices: (V, 3) float64, mm, in the order of a curve that fills the frame's space.
        local: (V, 3) the same in the frame.
        triangles: (F, 3) int64.
        normals: (V, 3) unit vertex normals, angle-weighted.
        vertex_of: (V of the mesh,) where each vertex of the mesh went, -1 if no triangle used it.
        frame: the rigid motion to the surface's own frame, see `principal_frame`.
    """

    def __init__(self, mesh: Mesh) -> None:
        vertices = np.asarray(mesh.vertices, np.float64)
        triangles = np.asarray(mesh.triangles, np.int64)
        corners = corners_of(vertices, triangles)
        sides = sides_of(corners)
        outward = cross_rows(sides[0], sides[1])
        areas = np.sqrt(dot_rows(outward, outward)) / 2
        solid = areas > 0
        if not solid.all():
            triangles, areas, outward = triangles[solid], areas[solid], outward[:, solid]
            corners, sides = corners[..., solid], sides[..., solid]
        self.frame = principal_frame(corners, areas)
        self.vertices, self.local, self.vertex_of = weld(vertices, triangles, self.frame)
        welded, normals = self.vertex_of[triangles], (outward / (2 * areas)).T
        self.normals = normals_at(welded, sides, normals, len(self.vertices))
        order = order_triangles(welded, len(self.vertices))
        self.triangles, self._face_normals = welded[order], normals[order]

    @cached_property
    def on_boundary(self) -> NDArray[np.bool_]:
        """(V,) bool, vertices on a rim."""
        on_boundary = np.zeros(len(self.vertices), bool)
        on_boundary[self._edges.vertices[self._edges.on_boundary]] = True
        return on_boundary

    @cached_property
    def corners(self) -> Float64Array:
        """The eight corners (8, 3) of the bounding box in the surface's own frame, mm."""
        box = np.stack([self.local.min(0), self.local.max(0)])
        inside = box[np.array(list(np.ndindex(2, 2, 2))), np.arange(3)]
        return self.frame.inverse().apply(inside)

    def closest(self, points: Float64Array, rim: float | None = None) -> ClosestPoints:
        """Closest points of the surface to (N, 3) points, exact to float64.

        Args:
            points: (N, 3), mm.
            rim: up to which distance the way to the nearest rim is asked for, mm; None for not.
        """
        points = np.asarray(points, np.float64)
        triangle, weights, position = self._settled(points, self._nearest_triangle(points))
        normal, on_boundary = self._face_normals[triangle], np.zeros(len(points), bool)
        for kind, rows in _on_features(weights):
            feature = self._feature(kind, triangle[rows], weights[rows])
            at_edge = kind == EDGE
            on_boundary[rows] = (self._edges if at_edge else self).on_boundary[feature]
            normal[rows] = self._edge_normals(feature) if at_edge else self.normals[feature]
        distance = lengths(points - position)
        to_rim = None if rim is None else self._rim.distances(position, rim)
        if to_rim is not None:
            to_rim[on_boundary] = 0.0
        return ClosestPoints(position, triangle, normal, distance, on_boundary, to_rim)

    @cached_property
    def _rim(self) -> Rim:
        edges = self._edges
        return Rim.of(self.vertices, edges.vertices[edges.on_boundary])

    @cached_property
    def _edges(self) -> Edges:
        return find_edges(self.triangles)

    @cached_property
    def _corners(self) -> Groups:
        """The corners of triangles at each vertex, numbered through all triangles."""
        return Groups.by(self.triangles.ravel(), len(self.vertices))

    @cached_property
    def _facets(self) -> Facets:
        return Facets.of(self.vertices[self.triangles])

    @cached_property
    def _scene(self) -> o3d.t.geometry.RaycastingScene:
        """In the surface's own frame, so that rounding to float32 is the same wherever it lies."""
        scene = o3d.t.geometry.RaycastingScene()
        scene.add_triangles(
            o3d.core.Tensor(self.local.astype(np.float32)),
            o3d.core.Tensor(self.triangles.astype(np.uint32)),
        )
        return scene

    def _nearest_triangle(self, points: Float64Array) -> IndexArray:
        local = np.ascontiguousarray(self.frame.apply(points), np.float32)
        found = self._scene.compute_closest_points(o3d.core.Tensor(local))
        return np.asarray(found["primitive_ids"].numpy(), np.int64)

    def _settled(
        self, points: Float64Array, triangle: IndexArray
    ) -> tuple[IndexArray, Float64Array, Float64Array]:
        """Go on to neighbouring triangles, in float64, as long as one comes nearer.

        The search is in float32, and beside a convex edge it can return the wrong neighbour: the
        distance is the same to 1e-5 mm, but the normal is not.

        Returns:
            Triangles (N,), and the weights (N, 3) and position (N, 3) of the closest points.
        """
        weights, position = self._facets.closest(points, triangle)
        rows = np.arange(len(points))
        for _ in range(MAX_ROUNDS):
            rows = np.concatenate(
                [
                    self._go_on(kind, rows[on], points, triangle, weights, position)
                    for kind, on in _on_features(weights[rows])
                ]
            )
            if not len(rows):
                break
        return triangle, weights, position

    def _go_on(
        self,
        kind: int,
        rows: IndexArray,
        points: Float64Array,
        triangle: IndexArray,
        weights: Float64Array,
        position: Float64Array,
    ) -> IndexArray:
        """Put the rows that a triangle at their edge or vertex comes nearer to on it; which ones.

        Args:
            kind: of what the closest points of the rows lie on.
            rows: (R,) of the others.
            points: (N, 3), which stay.
            triangle, weights, position: (N,), (N, 3), (N, 3), changed in place.
        """
        feature = self._feature(kind, triangle[rows], weights[rows])
        passed = self._is_passed(kind, feature, points[rows] - position[rows], position[rows])
        rows = rows[passed]
        groups = self._edges.corners if kind == EDGE else self._corners
        owner, corner = groups.members(feature[passed])
        query, candidate = rows[owner], corner // 3
        candidate_weights, there = self._facets.closest(points[query], candidate)
        best = _argmin_of_groups(lengths(points[query] - there), owner)
        is_other = candidate[best] != triangle[rows]
        triangle[rows], weights[rows] = candidate[best], candidate_weights[best]
        position[rows] = there[best]
        return np.asarray(rows[is_other])

    def _is_passed(
        self, kind: int, feature: IndexArray, away: Float64Array, position: Float64Array
    ) -> NDArray[np.bool_]:
        """Whether a triangle at edges or vertices (N,) comes nearer to points than these do, (N,).

        It does when a corner of it lies before the plane across the way (N, 3) from the position
        (N, 3) on the edge or vertex: of an edge's triangle only the corner opposite to it can.
        """
        if kind == EDGE:
            owner, corner = self._edges.corners.members(feature)
        else:
            owner, at = self._corners.members(feature)
            triangle, place = np.divmod(at, 3)
            corner = 3 * triangle + np.stack([(place + 1) % 3, (place + 2) % 3])
            owner, corner = np.concatenate([owner, owner]), corner.ravel()
        ahead = self.vertices[self.triangles.ravel()[corner]] - position[owner]
        passed = np.zeros(len(feature), bool)
        passed[owner[np.einsum("ij,ij->i", ahead, away[owner]) > 0]] = True
        return passed

    def _feature(self, kind: int, triangle: IndexArray, weights: Float64Array) -> IndexArray:
        """The edges or vertices (N,) that hold points of barycentric weights (N, 3)."""
        if kind == EDGE:
            return np.asarray(self._edges.of_triangle[triangle, weights.argmin(1)])
        return np.asarray(self.triangles[triangle, weights.argmax(1)])

    def _edge_normals(self, edge: IndexArray) -> Float64Array:
        """Unit normals (N, 3), the mean of those of the triangles at each edge."""
        owner, corner = self._edges.corners.members(edge)
        normals = self._face_normals[corner // 3]
        sums = [np.bincount(owner, column, len(edge)) for column in normals.T]
        # Of no edges, NumPy's sums are integers.
        return unit(np.stack(sums, axis=1).astype(np.float64))


def _on_features(weights: Float64Array) -> Iterator[tuple[int, IndexArray]]:
    """Which of the points of barycentric weights (N, 3) lie on edges, and which on vertices."""
    first, second, third = (weights == 0).T
    zeros = first.astype(np.int8) + second + third
    for kind in (EDGE, VERTEX):
        yield kind, np.flatnonzero(zeros == kind)


def _argmin_of_groups(values: Float64Array, group: IndexArray) -> IndexArray:
    """Index of the smallest value in each run of equal group numbers, the first of equals."""
    order = np.lexsort((values, group))
    return order[np.r_[True, group[order][1:] != group[order][:-1]]] if len(order) else order
