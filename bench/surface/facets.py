"""Closest points of single triangles, exact in float64, many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .triangles import Float64Array, IndexArray, dot_rows


@dataclass(frozen=True)
class Facets:
    """Triangles laid out for projection: what a projection needs of each stands in one row.

    Attributes:
        rows: (F, 12): the first corner, the sides from it to the second and the third, and the
            scalar products of the first side with itself, of both, and of the second with itself.
    """

    rows: Float64Array

    @classmethod
    def of(cls, corners: Float64Array) -> Facets:
        """From the corners (F, 3, 3) of the triangles."""
        first, second, third = corners[:, 0], corners[:, 1], corners[:, 2]
        ab, ac = second - first, third - first
        products = [np.einsum("fi,fi->f", x, y)[:, None] for x, y in ((ab, ab), (ab, ac), (ac, ac))]
        return cls(np.concatenate([first, ab, ac, *products], axis=1))

    def closest(self, points: Float64Array, index: IndexArray) -> tuple[Float64Array, Float64Array]:
        """Where each point's triangle is closest to it: weights (N, 3) and position (N, 3).

        The weights are barycentric, and exactly zero where the closest point lies on an edge or a
        corner, so that callers can tell the three apart without a tolerance.

        Args:
            points: (N, 3).
            index: (N,) the triangle that belongs to each.
        """
        row = np.ascontiguousarray(self.rows.take(index, axis=0).T)
        corner, ab, ac, products = row[:3], row[3:6], row[6:9], row[9:]
        away = points.T - corner
        along = np.stack([dot_rows(ab, away), dot_rows(ac, away)])
        weights = _on_plane(along, products)
        outside = np.flatnonzero((weights[0] <= 0) | (weights[1] <= 0) | (weights[2] <= 0))
        weights[:, outside] = _on_edges(along[:, outside], products[:, outside])
        position = corner + weights[1] * ab + weights[2] * ac
        return np.ascontiguousarray(weights.T), np.ascontiguousarray(position.T)


def _on_plane(along: Float64Array, products: Float64Array) -> Float64Array:
    """Barycentric coordinates (3, N) of the point of the plane closest to each point.

    Args:
        along: (2, N) products of the two sides with the way from the first corner to the point.
        products: (3, N), see `Facets.rows`.
    """
    (one, two), (aa, ab, bb) = along, products
    area = aa * bb - ab * ab
    area = np.where(area > 0, area, np.inf)
    second, third = (bb * one - ab * two) / area, (aa * two - ab * one) / area
    return np.stack([1 - second - third, second, third])


def _on_edges(along: Float64Array, products: Float64Array) -> Float64Array:
    """The same (3, N) of the point of the three edges closest to each point."""
    (one, two), (aa, ab, bb) = along, products
    length = np.stack([aa, bb, aa - 2 * ab + bb])
    share = np.stack([one, two, (two - ab) - (one - aa)])
    share = np.clip(np.divide(share, length, out=np.zeros_like(share), where=length > 0), 0.0, 1.0)
    second = np.stack([share[0], np.zeros_like(one), 1 - share[2]])
    third = np.stack([np.zeros_like(one), share[1], share[2]])
    # the squared distance less that of the first corner
    further = second * (second * aa - 2 * one) + third * (third * bb - 2 * two)
    nearest = (further + 2 * second * third * ab).argmin(0)
    chosen = nearest, np.arange(len(one))
    second, third = second[chosen], third[chosen]
    first = np.where(nearest == 2, 0.0, 1 - second - third)
    return np.stack([first, second, third])
