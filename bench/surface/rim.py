"""The rim of a surface: its outline and the edges of its holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .triangles import Float64Array, Groups, IndexArray


@dataclass(frozen=True)
class Rim:
    """Edges with a surface on one side only.

    Attributes:
        starts, ends: (E, 3) of each edge.
        at: the edges at each end.
        tree: over the ends; None where the surface is closed.
    """

    starts: Float64Array
    ends: Float64Array
    at: Groups
    tree: cKDTree | None

    @classmethod
    def of(cls, vertices: Float64Array, edges: IndexArray) -> Rim:
        """The rim made of edges (E, 2) between vertices (V, 3)."""
        used, place = np.unique(edges, return_inverse=True)
        by_vertex = Groups.by(place.ravel(), len(used))
        at = Groups(by_vertex.first, by_vertex.items // 2)
        tree = cKDTree(vertices[used]) if len(used) else None
        return cls(vertices[edges[:, 0]], vertices[edges[:, 1]], at, tree)

    def distances(self, points: Float64Array, reach: float) -> Float64Array:
        """Distances (N,) of points (N, 3) to the rim, infinite where no end is within reach.

        To the edges at the nearest end, one of which is the nearest wherever edges are of about
        one length.
        """
        distances = np.full(len(points), np.inf)
        if self.tree is None or reach <= 0:
            return distances
        away, end = self.tree.query(points, distance_upper_bound=reach)
        rows = np.flatnonzero(np.isfinite(away))
        owner, edge = self.at.members(end[rows])
        apart = _to_segments(points[rows[owner]], self.starts[edge], self.ends[edge])
        np.minimum.at(distances, rows[owner], apart)
        return distances


def _to_segments(points: Float64Array, starts: Float64Array, ends: Float64Array) -> Float64Array:
    along, offset = ends - starts, points - starts
    share = np.clip((offset * along).sum(1) / (along**2).sum(1), 0.0, 1.0)
    return np.asarray(np.sqrt(((offset - share[:, None] * along) ** 2).sum(1)))
