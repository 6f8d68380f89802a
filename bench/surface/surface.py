"""Triangle surfaces: closest points in float64, and the boundary (outline and edges of holes)."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ...recon.mesh import Mesh
from .o3d import o3d
from .ordering import canonical_triangles, placed, principal_frame, weld
from .similarity import Similarity
from .triangles import (
    Edges,
    Float64Array,
    Groups,
    IndexArray,
    closest_on_facets,
    corners_of,
    facets_of,
    lengths,
    lengths_of_rows,
    normals_at,
    outward_of,
    refine,
    sides_of,
    unit,
    vertex_areas,
)

SEAM = 5e-6  # Of the surface's size: boundary vertices nearer than this are one, a thousandth mm.
# Sizes of a surface, in its unit, whose fourth powers (of areas squared) float32 can hold.
SMALLEST, LARGEST = 1e-6, 1e6
MAX_ROUNDS = 20  # Of going on to a neighbouring triangle; two or three end it.
# What a closest point lies on where that is no face: as many of its weights are zero.
EDGE, VERTEX = 1, 2


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
        on_boundary: (N,) bool, whether the point lies on the boundary of the surface or of a hole.
        to_boundary: (N,) mm from the closest point to the nearest boundary, infinite beyond
            what was asked for; None where it was not.
    """

    position: Float64Array
    triangle: IndexArray
    normal: Float64Array
    distance: Float64Array
    on_boundary: NDArray[np.bool_]
    to_boundary: Float64Array | None = None

    def moved(self, transform: Similarity) -> ClosestPoints:
        """The same points after a similarity transform of surface and queries."""
        return replace(
            self,
            position=transform.apply(self.position),
            normal=transform.turn(self.normal),
            distance=self.distance * transform.scale,
            to_boundary=None if self.to_boundary is None else self.to_boundary * transform.scale,
        )


class Boundary:
    """Edges with a surface on one side only.

    Args:
        vertices: (V, 3) of the surface.
        edges: (E, 2) between them.
    """

    def __init__(self, vertices: Float64Array, edges: IndexArray) -> None:
        used, place = np.unique(edges, return_inverse=True)
        self._starts, self._ends = vertices[edges[:, 0]], vertices[edges[:, 1]]
        ends = Groups.by(place.ravel(), len(used))
        self._at = Groups(ends.first, ends.items // 2)
        # Over the ends; none where the surface is closed.
        self._tree = cKDTree(vertices[used]) if len(used) else None

    def distances(self, points: Float64Array, reach: float) -> Float64Array:
        """Distances (N,) of points (N, 3) to the boundary, infinite where no end is within reach.

        To the edges at the nearest end, one of which is the nearest wherever edges are of about
        one length.
        """
        distances = np.full(len(points), np.inf)
        if self._tree is None or reach <= 0:
            return distances
        away, end = self._tree.query(points, distance_upper_bound=reach)
        rows = np.flatnonzero(np.isfinite(away))
        owner, edge = self._at.members(np.asarray(end)[rows])
        apart = _to_segments(points[rows[owner]], self._starts[edge], self._ends[edge])
        np.minimum.at(distances, rows[owner], apart)
        return distances


def _to_segments(points: Float64Array, starts: Float64Array, ends: Float64Array) -> Float64Array:
    along, offset = ends - starts, points - starts
    share = np.clip((offset * along).sum(1) / (along**2).sum(1), 0.0, 1.0)
    return np.asarray(np.sqrt(((offset - share[:, None] * along) ** 2).sum(1)))


class Surface:
    """A triangle surface prepared for closest-point queries.

    Vertices at one position are taken as one, so that texture seams are no boundary. Vertices and
    triangles are put in an order of their own, by the coordinates in a frame that moves with the
    surface: results depend neither on the file's order nor on where the surface lies.

    Args:
        mesh: in mm, or in any unit.
        longest_edge: longer edges are halved until none is left, in the mesh's unit, so that
            vertices are dense enough to stand for the surface between them.

    Attributes:
        vertices: (V, 3) float64, mm, in the order of a curve that fills the frame's space.
        local: (V, 3) the same in the frame.
        triangles: (F, 3) int64.
        normals: (V, 3) unit vertex normals, angle-weighted.
        vertex_of: (V of the mesh,) where each vertex of the mesh went, -1 if no triangle used it.
        frame: the rigid motion to the surface's own frame, see `principal_frame`.
        areas: (V,) surface that each vertex stands for, see `vertex_areas`.
        on_boundary: (V,) bool, vertices on the outline or the edge of a hole.
    """

    vertices: Float64Array
    local: Float64Array
    triangles: IndexArray
    normals: Float64Array
    vertex_of: IndexArray
    frame: Similarity
    areas: Float64Array
    on_boundary: NDArray[np.bool_]
    _edges: Edges
    _face_normals: Float64Array

    def __init__(self, mesh: Mesh, longest_edge: float = np.inf) -> None:
        vertices = np.asarray(mesh.vertices, np.float64)
        triangles = np.asarray(mesh.triangles, np.int64)
        self._build(vertices, triangles)
        joined = self._joined_seams(vertices)
        if joined is not None:
            vertices = joined
            self._build(vertices, triangles)
        finer = refine(vertices, triangles, longest_edge)
        if len(finer[0]) > len(vertices):
            self._build(*finer)
            # A subdivision puts the mesh's own vertices first.
            self.vertex_of = self.vertex_of[: len(vertices)]

    def _build(self, vertices: Float64Array, triangles: IndexArray) -> None:
        corners = corners_of(vertices, triangles)
        areas = lengths_of_rows(outward_of(corners)) / 2
        solid = areas > 0
        if not solid.all():
            triangles, areas, corners = triangles[solid], areas[solid], corners[..., solid]
        rough = principal_frame(corners, areas)
        self.vertices, _, self.vertex_of = weld(vertices, triangles, rough)
        self.triangles = canonical_triangles(self.vertex_of[triangles], len(self.vertices))
        # All anew in the order that is the surface's own: sums in the file's order differ in their
        # last digits, and a closest point between two triangles then jumps from one to the other.
        corners = corners_of(self.vertices, self.triangles)
        outward = outward_of(corners)
        double = lengths_of_rows(outward)
        areas = double / 2
        # In another order of its corners rounding can leave a sliver no area at all.
        outward /= np.where(double > 0, double, 1.0)
        self._face_normals = np.ascontiguousarray(outward.T)
        self.frame = principal_frame(corners, areas)
        self.local = placed(self.vertices, self.frame)
        sides = sides_of(corners)
        self.normals = normals_at(self.triangles, sides, self._face_normals, len(self.vertices))
        self.areas = vertex_areas(self.triangles, areas, len(self.vertices))
        self._edges = Edges(self.triangles)
        self.on_boundary = np.zeros(len(self.vertices), bool)
        self.on_boundary[self._edges.vertices[self._edges.on_boundary]] = True

    def _joined_seams(self, vertices: Float64Array) -> Float64Array | None:
        """The mesh's vertices with those of a seam at one position; None where there is none.

        Exporters that write coordinates twice, each rounded by itself, leave seams that no exact
        comparison closes; their edges would count as the boundary of the face.
        """
        outline = np.flatnonzero(self.on_boundary)
        if not len(outline):
            return None
        size = float(np.linalg.norm(np.ptp(self.local, axis=0)))
        # Only vertices of the boundary: elsewhere two that near are one thin sheet's two sides.
        pairs = cKDTree(self.local[outline]).query_pairs(SEAM * size, output_type="ndarray")
        if not len(pairs):
            return None
        links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(outline), len(outline)))
        group = connected_components(links, directed=False)[1]
        _, first = np.unique(group, return_index=True)
        places = self.vertices.copy()
        places[outline] = places[outline[first[group]]]
        used = self.vertex_of >= 0
        joined = vertices.copy()
        joined[used] = places[self.vertex_of[used]]
        return joined

    def moved(self, transform: Similarity) -> Surface:
        """The surface after a similarity: its vertices and triangles in the same order."""
        surface, back = copy(self), transform.inverse()
        surface.vertices = transform.apply(self.vertices)
        surface.local = self.local * transform.scale
        surface.normals = transform.turn(self.normals)
        surface._face_normals = transform.turn(self._face_normals)
        surface.areas = self.areas * transform.scale**2
        rigid = self.frame.after(back)
        surface.frame = Similarity(1.0, rigid.rotation, rigid.translation * transform.scale)
        for place_dependent in ("corners", "_boundary", "_facets"):
            surface.__dict__.pop(place_dependent, None)
        if "_scene" in self.__dict__:
            # In the own frame it is the same but for the size: do not build it twice.
            surface.__dict__["_to_scene"] = self._to_scene / transform.scale
        return surface

    @cached_property
    def corners(self) -> Float64Array:
        """The eight corners (8, 3) of the bounding box in the surface's own frame, mm."""
        box = np.stack([self.local.min(0), self.local.max(0)])
        inside = box[np.array(list(np.ndindex(2, 2, 2))), np.arange(3)]
        return self.frame.inverse().apply(inside)

    def closest(self, points: Float64Array, boundary: float | None = None) -> ClosestPoints:
        """Closest points of the surface to (N, 3) points, exact to float64.

        Args:
            points: (N, 3), mm.
            boundary: up to which distance the way to the nearest boundary is asked for, mm; None
                for not.
        """
        points = np.asarray(points, np.float64)
        triangle, weights, position = self._converge_on(points, self._nearest_triangle(points))
        normal, on_boundary = self._face_normals[triangle], np.zeros(len(points), bool)
        for kind, rows in _on_features(weights):
            feature = self._feature(kind, triangle[rows], weights[rows])
            on_boundary[rows] = self._ends_at(kind, feature)
            normal[rows] = self._edge_normals(feature) if kind == EDGE else self.normals[feature]
        distance = lengths(points - position)
        to_boundary = None if boundary is None else self._boundary.distances(position, boundary)
        if to_boundary is not None:
            to_boundary[on_boundary] = 0.0
        return ClosestPoints(position, triangle, normal, distance, on_boundary, to_boundary)

    def tangent_planes(self, points: Float64Array) -> ClosestPoints:
        """Closest points to (N, 3) points to float32, with normals blended from the corners'.

        Unlike the triangles' own such normals do not jump from one triangle to the next, and so it
        is no matter which of two triangles as near as each other is found.
        """
        triangle = self._nearest_triangle(points)
        weights, position = closest_on_facets(self._facets, points, triangle)
        normal = unit(np.einsum("nk,nkc->nc", weights, self.normals[self.triangles[triangle]]))
        on_boundary = np.zeros(len(points), bool)
        for kind, rows in _on_features(weights):
            feature = self._feature(kind, triangle[rows], weights[rows])
            on_boundary[rows] = self._ends_at(kind, feature)
        distance = lengths(points - position)
        return ClosestPoints(position, triangle, normal, distance, on_boundary)

    @cached_property
    def _boundary(self) -> Boundary:
        edges = self._edges
        return Boundary(self.vertices, edges.vertices[edges.on_boundary])

    @cached_property
    def _corners(self) -> Groups:
        """The corners of triangles at each vertex, numbered through all triangles."""
        return Groups.by(self.triangles.ravel(), len(self.vertices))

    @cached_property
    def _facets(self) -> Float64Array:
        return facets_of(self.vertices[self.triangles])

    @cached_property
    def _scene(self) -> o3d.t.geometry.RaycastingScene:
        """Open3D's scene in the own frame: rounding to float32 is the same wherever a face lies."""
        scene = o3d.t.geometry.RaycastingScene()
        scene.add_triangles(
            o3d.core.Tensor((self.local * self._to_scene).astype(np.float32)),
            o3d.core.Tensor(self.triangles.astype(np.uint32)),
        )
        return scene

    @cached_property
    def _to_scene(self) -> float:
        """The factor of lengths whose squares would leave float32's range."""
        size = float(np.abs(self.local).max())
        if SMALLEST < size < LARGEST:
            return 1.0
        # A power of two: no digit changes, and a face is as good in any unit.
        return float(2.0 ** -np.round(np.log2(max(size, np.finfo(float).tiny))))

    def _nearest_triangle(self, points: Float64Array) -> IndexArray:
        local = np.ascontiguousarray(self.frame.apply(points) * self._to_scene, np.float32)
        found = self._scene.compute_closest_points(o3d.core.Tensor(local))
        return np.asarray(found["primitive_ids"].numpy(), np.int64)

    def _converge_on(
        self, points: Float64Array, triangle: IndexArray
    ) -> tuple[IndexArray, Float64Array, Float64Array]:
        """Go on to neighbouring triangles, in float64, as long as one comes nearer.

        The search is in float32, and beside a convex edge it can return the wrong neighbour: the
        distance is the same to 1e-5 mm, but the normal is not.

        Returns:
            Triangles (N,), and the weights (N, 3) and position (N, 3) of the closest points.
        """
        weights, position = closest_on_facets(self._facets, points, triangle)
        rows = np.arange(len(points))
        for _ in range(MAX_ROUNDS):
            rows = np.concatenate(
                [
                    self._walk(kind, rows[on], points, triangle, weights, position)
                    for kind, on in _on_features(weights[rows])
                ]
            )
            if not len(rows):
                break
        return triangle, weights, position

    def _walk(
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
        candidate_weights, there = closest_on_facets(self._facets, points[query], candidate)
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

    def _ends_at(self, kind: int, feature: IndexArray) -> NDArray[np.bool_]:
        """Whether the surface ends at edges or vertices (N,)."""
        return np.asarray((self._edges if kind == EDGE else self).on_boundary[feature])

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
