"""The triangle surface of a mesh and the points of it closest to others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from ..recon.mesh import Mesh
from .rim import Rim
from .similarity import Similarity
from .triangles import (
    Edges,
    Float64Array,
    Groups,
    IndexArray,
    closest_barycentric,
    double_areas,
    find_edges,
    unit,
    vertex_normals,
)

ORDER_DECIMALS = 6
"""Of the coordinates that vertices are ordered by: to rounding, symmetric faces have many ties."""
EDGE, VERTEX = 1, 2
"""What a closest point lies on where that is no face: as many of its weights are zero."""


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
        to_rim: (N,) mm from the closest point to the nearest rim, infinite beyond what was asked
            for; None where it was not.
    """

    position: Float64Array
    triangle: IndexArray
    normal: Float64Array
    distance: Float64Array
    on_boundary: NDArray[np.bool_]
    to_rim: Float64Array | None = None

    def moved(self, transform: Similarity) -> ClosestPoints:
        """The same points after a similarity transform of surface and queries."""
        return replace(
            self,
            position=transform.apply(self.position),
            normal=transform.turn(self.normal),
            distance=self.distance * transform.scale,
            to_rim=None if self.to_rim is None else self.to_rim * transform.scale,
        )


class Surface:
    """A triangle surface prepared for closest-point queries.

    Vertices at one position are taken as one, so that texture seams are no boundary. Vertices and
    triangles are put in an order of their own, by the coordinates in a frame that moves with the
    surface: results depend neither on the file's order nor on where the surface lies.

    Attributes:
        vertices: (V, 3) float64, mm, in lexicographic order of their places in the frame.
        triangles: (F, 3) int64.
        normals: (V, 3) unit vertex normals, angle-weighted.
        vertex_of: (V of the mesh,) where each vertex of the mesh went, -1 if no triangle used it.
        frame: the rigid motion to the surface's own frame, see `principal_frame`.
    """

    def __init__(self, mesh: Mesh) -> None:
        vertices = np.asarray(mesh.vertices, np.float64)
        triangles = np.asarray(mesh.triangles, np.int64)
        outward = double_areas(vertices, triangles)
        solid = np.abs(outward).sum(1) > 0
        triangles, outward = triangles[solid], outward[solid]
        self.frame = principal_frame(vertices, triangles, outward)
        self.vertices, self.vertex_of = _weld(vertices, triangles, self.frame)
        self.triangles, order = _ordered(self.vertex_of[triangles])
        self._face_normals = unit(outward)[order]
        self.normals = vertex_normals(self.vertices, self.triangles, self._face_normals)

    @cached_property
    def on_boundary(self) -> NDArray[np.bool_]:
        """(V,) bool, vertices on a rim."""
        on_boundary = np.zeros(len(self.vertices), bool)
        on_boundary[self._edges.vertices[self._edges.on_boundary]] = True
        return on_boundary

    @cached_property
    def local(self) -> Float64Array:
        """The vertices (V, 3) in the surface's own frame."""
        return _placed(self.vertices, self.frame)

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
        triangle, weights = self._settle(points, self._nearest_triangle(points))
        position = self._position(triangle, weights)
        normal, on_boundary = self._face_normals[triangle], np.zeros(len(points), bool)
        on_feature = (weights == 0).sum(1)
        for kind in (EDGE, VERTEX):
            rows = np.flatnonzero(on_feature == kind)
            feature = self._feature(kind, triangle[rows], weights[rows])
            at_edge = kind == EDGE
            on_boundary[rows] = (self._edges if at_edge else self).on_boundary[feature]
            normal[rows] = self._edge_normals(feature) if at_edge else self.normals[feature]
        distance = np.sqrt(((points - position) ** 2).sum(1))
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
    def _around_vertices(self) -> Groups:
        """The triangles at each vertex."""
        corners = Groups.by(self.triangles.ravel(), len(self.vertices))
        return Groups(corners.first, corners.items // 3)

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

    def _weights(self, points: Float64Array, triangle: IndexArray) -> Float64Array:
        return closest_barycentric(points, self.vertices[self.triangles[triangle]])

    def _position(self, triangle: IndexArray, weights: Float64Array) -> Float64Array:
        corners = self.vertices[self.triangles[triangle]]
        return np.asarray(np.einsum("nk,nkc->nc", weights, corners))

    def _settle(
        self, points: Float64Array, triangle: IndexArray
    ) -> tuple[IndexArray, Float64Array]:
        """Choose in float64 among the triangles that meet where the found one was closest.

        The search is in float32, and beside a convex edge it can return the wrong neighbour: the
        distance is the same to 1e-5 mm, but the normal is not.
        """
        weights = self._weights(points, triangle)
        feature = (weights == 0).sum(1)
        for kind, groups in ((EDGE, self._edges.triangles), (VERTEX, self._around_vertices)):
            rows = np.flatnonzero(feature == kind)
            owner, candidate = groups.members(self._feature(kind, triangle[rows], weights[rows]))
            query = rows[owner]
            candidate_weights = self._weights(points[query], candidate)
            offset = points[query] - self._position(candidate, candidate_weights)
            best = _argmin_of_groups((offset**2).sum(1), query)
            triangle[query[best]], weights[query[best]] = candidate[best], candidate_weights[best]
        return triangle, weights

    def _feature(self, kind: int, triangle: IndexArray, weights: Float64Array) -> IndexArray:
        """The edges or vertices (N,) that hold points of barycentric weights (N, 3)."""
        if kind == EDGE:
            return np.asarray(self._edges.of_triangle[triangle, weights.argmin(1)])
        return np.asarray(self.triangles[triangle, weights.argmax(1)])

    def _edge_normals(self, edge: IndexArray) -> Float64Array:
        """Unit normals (N, 3), the mean of those of the triangles at each edge."""
        owner, triangle = self._edges.triangles.members(edge)
        normals = self._face_normals[triangle]
        sums = [np.bincount(owner, column, len(edge)) for column in normals.T]
        # Of no edges, NumPy's sums are integers.
        return unit(np.stack(sums, axis=1).astype(np.float64))


def principal_frame(
    vertices: Float64Array, triangles: IndexArray, outward: Float64Array
) -> Similarity:
    """The rigid motion of a surface's centre to the origin and of its principal axes to x, y, z.

    By the moments of the surface, so that the frame does not depend on how it is cut into
    triangles. Of each axis the sign gives the longer tail to the positive side; the axis of the
    least skewness takes the sign that makes a rotation.

    Args:
        vertices: (V, 3).
        triangles: (F, 3); without any, the frame is the one the vertices are in.
        outward: (F, 3) normals as long as twice the area.
    """
    if not len(triangles):
        return Similarity.identity()
    areas = np.sqrt((outward**2).sum(1))
    weights = np.bincount(triangles.T.ravel(), np.tile(areas, 3), len(vertices))
    weights = weights / weights.sum()
    known = np.where(weights[:, None] > 0, vertices, 0.0)
    centre = weights @ known
    offsets = known - centre
    middles = (offsets[triangles[:, 0]] + offsets[triangles[:, 1]] + offsets[triangles[:, 2]]) / 3
    shares = areas[:, None] / areas.sum()
    # of a triangle: a quarter of the moment of its corners, three quarters of that of its middle
    moments = (offsets * weights[:, None]).T @ offsets + 3 * (middles * shares).T @ middles
    axes = np.linalg.eigh(moments)[1].T
    skewness = weights @ (offsets @ axes.T) ** 3
    axes = axes * np.where(skewness < 0, -1.0, 1.0)[:, None]
    axes[np.abs(skewness).argmin()] *= np.sign(np.linalg.det(axes))
    return Similarity(1.0, axes, -axes @ centre)


def _weld(
    vertices: Float64Array, triangles: IndexArray, frame: Similarity
) -> tuple[Float64Array, IndexArray]:
    """Distinct positions of corners in the frame's order, and where each vertex went, else -1."""
    is_used = np.zeros(len(vertices), bool)
    is_used[triangles] = True
    used = np.flatnonzero(is_used)
    places = np.round(_placed(vertices[used], frame), ORDER_DECIMALS)
    order = used[np.lexsort(places.T[::-1])]
    ordered = vertices[order]
    is_new = np.ones(len(ordered), bool)
    is_new[1:] = (ordered[1:] != ordered[:-1]).any(1)
    vertex_of = np.full(len(vertices), -1)
    vertex_of[order] = np.cumsum(is_new) - 1
    return ordered[is_new], vertex_of


def _placed(points: Float64Array, frame: Similarity) -> Float64Array:
    """Points (N, 3) in a frame, equal for equal points, as a matrix product does not promise."""
    x, y, z = points.T[:, :, None]
    along_x, along_y, along_z = frame.rotation.T
    return np.asarray(x * along_x + y * along_y + z * along_z + frame.translation)


def _ordered(triangles: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Triangles with their smallest corner first, in lexicographic order, and that order."""
    if not triangles.size:
        return triangles, np.arange(0)
    a, b, c = triangles.T
    first, span = triangles.argmin(1), int(triangles.max()) + 1
    turns = ((a, b, c), (b, c, a), (c, a, b))
    turned = np.stack([np.choose(first, turn) for turn in turns], axis=1)
    order = np.lexsort((turned[:, 2], turned[:, 0] * span + turned[:, 1]))
    return turned[order], order


def _argmin_of_groups(values: Float64Array, group: IndexArray) -> IndexArray:
    """Index of the smallest value in each run of equal group numbers, the first of equals."""
    order = np.lexsort((values, group))
    return order[np.r_[True, group[order][1:] != group[order][:-1]]] if len(order) else order
