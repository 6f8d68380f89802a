"""Exact geometry of triangles in float64: areas, normals, edges, subdivision, closest points.

Vectors are rows (N, 3) where they come from outside, and x, y, z as rows (3, N), several times as
fast to work on, between the functions here (`corners_of` and all that take its result).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

EQUILATERAL = 3**0.5 / 4  # Area of an equilateral triangle of side one.
COARSE_SHARE = 0.2  # Of the area in large triangles: less hardly changes a mean.
# Of a subdivided surface: a mesh torn into slivers would otherwise need millions.
MOST_VERTICES = 120_000

Float64Array = NDArray[np.float64]
IndexArray = NDArray[np.int64]


def triangle_areas(vertices: Float64Array, triangles: IndexArray) -> Float64Array:
    """Areas (F,) in the square of the vertices' unit."""
    return lengths(double_areas(vertices, triangles)) / 2


def vertex_areas(triangles: IndexArray, areas: Float64Array, count: int) -> Float64Array:
    """Surface area (count,) that each vertex stands for: a third of that of its triangles.

    With these weights a sum over vertices is the integral over the surface of what is linear in
    each triangle, so that a mean depends on the surface and not on how densely it is drawn.

    Args:
        triangles: (F, 3).
        areas: (F,) of the triangles.
        count: of the vertices.
    """
    return np.bincount(triangles.ravel(), np.repeat(areas / 3, 3), count).astype(np.float64)


def refine(
    vertices: Float64Array, triangles: IndexArray, longest: float
) -> tuple[Float64Array, IndexArray]:
    """A surface without long edges, its own vertices first; the same where it has hardly any.

    Args:
        vertices, triangles: (V, 3), (F, 3).
        longest: edge that is left whole, in the vertices' unit.
    """
    if not np.isfinite(longest):
        return vertices, triangles
    areas = triangle_areas(vertices, triangles)
    # By area: slivers with a long edge stand for little.
    coarse = areas > EQUILATERAL * longest**2
    if areas[coarse].sum() <= COARSE_SHARE * areas.sum():
        return vertices, triangles
    return subdivide_long_edges(vertices, triangles, longest, MOST_VERTICES)


def subdivide_long_edges(
    vertices: Float64Array, triangles: IndexArray, longest: float, most: int
) -> tuple[Float64Array, IndexArray]:
    """Halve edges until none is longer than asked for; the surface's own vertices come first.

    Each long edge is halved in all of its triangles, so that no gap opens beside a triangle that
    is not cut (as red-green refinement does: Bank, Sherman and Weiser 1983).

    Args:
        vertices, triangles: (V, 3), (F, 3).
        longest: in the vertices' unit.
        most: vertices that the result may have; where more would be needed, edges stay longer.
    """
    while True:
        edges = Edges(triangles)
        ends = vertices[edges.vertices]
        length = lengths(ends[:, 1] - ends[:, 0])
        room = most - len(vertices)
        is_long = length > longest
        if not is_long.any() or room <= 0:
            return vertices, triangles
        if is_long.sum() > room:
            # The longest first; ties go together, so that no choice depends on the file's order.
            is_long &= length > np.partition(length, len(length) - room - 1)[-room - 1]
            if not is_long.any():
                return vertices, triangles
        middle = np.full(len(length), -1)
        middle[is_long] = len(vertices) + np.arange(is_long.sum())
        vertices = np.concatenate([vertices, ends[is_long].mean(1)])
        triangles = split_at_edges(triangles, middle[edges.of_triangle])


def split_at_edges(triangles: IndexArray, middle: IndexArray) -> IndexArray:
    """Triangles (F, 3) cut at the middles (F, 3) of the edges opposite to their corners, -1: uncut.

    Two, three or four come of each; the turning sense stays.
    """
    count = (middle >= 0).sum(1)
    parts = [triangles[count == 0]]
    # Turn each triangle so that the case distinction below needs one pattern for each count.
    first = np.where(count == 1, (middle >= 0).argmax(1), (middle < 0).argmax(1))
    order = (first[:, None] + np.arange(3)) % 3
    (a, b, c), (at_a, at_b, at_c) = (
        np.take_along_axis(values, order, axis=1).T for values in (triangles, middle)
    )

    def add(rows: NDArray[np.bool_], *corners: IndexArray) -> None:
        parts.append(np.stack(corners, axis=1)[rows])

    one, two, three = (count == number for number in (1, 2, 3))
    add(one, a, b, at_a)
    add(one, a, at_a, c)
    # The edge opposite to a is whole: a's tip is cut off, the rest is a quadrilateral.
    add(two, a, at_c, at_b)
    add(two, at_c, b, c)
    add(two, at_c, c, at_b)
    add(three, a, at_c, at_b)
    add(three, b, at_a, at_c)
    add(three, c, at_b, at_a)
    add(three, at_a, at_b, at_c)
    return np.concatenate(parts)


def vertex_normals(vertices: Float64Array, triangles: IndexArray) -> Float64Array:
    """Unit normals (V, 3), see `normals_at`.

    Args:
        vertices: (V, 3).
        triangles: (F, 3).
    """
    sides = sides_of(corners_of(vertices, triangles))
    normals = unit(cross_rows(sides[0], sides[1]).T)
    return normals_at(triangles, sides, normals, len(vertices))


def normals_at(
    triangles: IndexArray, sides: Float64Array, normals: Float64Array, count: int
) -> Float64Array:
    """Unit normals of vertices, each the sum of its triangles' normals weighted by their angle.

    The angle weights make the normal one of the surface, not of how it is cut into triangles.
    Source: Thürmer and Wüthrich 1998; Bærentzen and Aanæs 2005.

    Args:
        triangles: (F, 3).
        sides: (3, 3, F) of the triangles, see `sides_of`.
        normals: (F, 3) of the triangles.
        count: of the vertices.
    """
    angles, corner = _corner_angles(sides), triangles.T.ravel()
    sums = [np.bincount(corner, (angles * along).ravel(), count) for along in normals.T]
    return unit(np.stack(sums, axis=1))


def corners_of(vertices: Float64Array, triangles: IndexArray) -> Float64Array:
    """The first, second and third corner of each triangle: (3, 3, F) with x, y, z in the middle.

    Columns of numbers in a row are several times as fast to work on as rows of three.
    """
    along = np.ascontiguousarray(vertices.T)
    return np.stack([along[:, corner] for corner in triangles.T])


def sides_of(corners: Float64Array) -> Float64Array:
    """The sides (3, 3, F) of triangles, from each corner to the next one."""
    return np.stack([corners[(corner + 1) % 3] - corners[corner] for corner in range(3)])


def outward_of(corners: Float64Array) -> Float64Array:
    """Normals (3, F) as long as twice the area, of triangles of corners (3, 3, F)."""
    return cross_rows(corners[1] - corners[0], corners[2] - corners[1])


def cross_rows(a: Float64Array, b: Float64Array) -> Float64Array:
    """Cross products (3, N) of vectors whose x, y and z are rows (3, N)."""
    return np.stack(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def dot_rows(a: Float64Array, b: Float64Array) -> Float64Array:
    """Scalar products (N,) of vectors whose x, y and z are rows (3, N)."""
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def dot(a: Float64Array, b: Float64Array) -> Float64Array:
    """Scalar products (…) of vectors (…, 3): `(a * b).sum(-1)` to the last bit, and faster."""
    return dot_rows(np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0))


def lengths_of_rows(vectors: Float64Array) -> Float64Array:
    """Lengths (N,) of vectors whose x, y and z are rows (3, N)."""
    return np.asarray(np.sqrt(dot_rows(vectors, vectors)))


@dataclass(frozen=True)
class Groups:
    """Items sorted into numbered groups: group i is `items[first[i]:first[i + 1]]`, ascending."""

    first: IndexArray
    items: IndexArray

    @classmethod
    def by(cls, keys: IndexArray, count: int) -> Groups:
        """Items numbered like the keys (N,), each key in [0, count), in time linear in N."""
        n = len(keys)
        table = csr_array((np.empty(n, np.int8), (keys, np.arange(n))), shape=(count, n))
        return cls(table.indptr.astype(np.int64), table.indices.astype(np.int64))

    def members(self, groups: IndexArray) -> tuple[IndexArray, IndexArray]:
        """The items of groups (N,): for each, which of the N it belongs to, and the item."""
        counts = self.first[groups + 1] - self.first[groups]
        owner = np.repeat(np.arange(len(groups)), counts)
        step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        return owner, self.items[np.repeat(self.first[groups], counts) + step]


def lexicographic_order(columns: IndexArray, count: int) -> IndexArray:
    """The stable order of N by the first of K columns (K, N), then the second, and so on.

    Args:
        columns: of numbers in [0, count).
        count: of the numbers.
    """
    order = np.arange(columns.shape[1])
    # A radix sort, in time linear in N: each pass keeps the order of equals of the one before it.
    for column in columns[::-1]:
        order = order[Groups.by(column[order], count).items]
    return order


class Edges:
    """The edges of a mesh, numbered by their ends in lexicographic order.

    Args:
        triangles: (F, 3) indices.

    Attributes:
        of_triangle: (F, 3) edge of each triangle opposite to its first, second and third corner.
        vertices: (E, 2) the two ends, the smaller index first.
        corners: opposite to each edge, one in each of its triangles, numbered through all (F, 3).
    """

    def __init__(self, triangles: IndexArray) -> None:
        starts, ends = triangles[:, [1, 2, 0]].ravel(), triangles[:, [2, 0, 1]].ravel()
        low, high = np.minimum(starts, ends), np.maximum(starts, ends)
        count = int(triangles.max()) + 1 if triangles.size else 1
        by_high = Groups.by(high, count).items
        order = by_high[Groups.by(low[by_high], count).items]
        low, high = low[order], high[order]
        is_new = np.ones(len(order), bool)
        is_new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        of_triangle = np.empty(len(order), np.int64)
        of_triangle[order] = np.cumsum(is_new) - 1
        self.of_triangle = of_triangle.reshape(-1, 3)
        self.vertices = np.stack([low[is_new], high[is_new]], axis=1)
        self.corners = Groups(np.append(np.flatnonzero(is_new), len(order)), order)

    @cached_property
    def on_boundary(self) -> NDArray[np.bool_]:
        """(E,) edges of exactly one triangle."""
        return np.asarray(np.diff(self.corners.first) == 1)


def unit(vectors: Float64Array) -> Float64Array:
    """Vectors (…, 3) divided by their length; zero stays zero."""
    length = lengths(vectors)[..., None]
    return np.asarray(vectors / np.where(length > 0, length, 1.0))


def double_areas(vertices: Float64Array, triangles: IndexArray) -> Float64Array:
    """Normals (F, 3) as long as twice the area."""
    a, b, c = (vertices[corner] for corner in triangles.T)
    return cross(b - a, c - a)


def cross(a: Float64Array, b: Float64Array) -> Float64Array:
    """Cross products (…, 3), several times as fast as NumPy's for many short vectors."""
    (ax, ay, az), (bx, by, bz) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _corner_angles(sides: Float64Array) -> Float64Array:
    """Angles (3, F) at the first, second and third corner, in rad."""
    sizes = [np.maximum(np.sqrt(dot_rows(side, side)), np.finfo(float).tiny) for side in sides]
    cosines = np.stack(
        [
            dot_rows(sides[corner], sides[corner - 1]) / (-sizes[corner] * sizes[corner - 1])
            for corner in range(3)
        ]
    )
    return np.asarray(np.arccos(np.clip(cosines, -1.0, 1.0, out=cosines), out=cosines))


def lengths(vectors: Float64Array) -> Float64Array:
    """Lengths (…) of vectors (…, 3)."""
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", vectors, vectors)))


def facets_of(corners: Float64Array) -> Float64Array:
    """Triangles of corners (F, 3, 3) laid out for projection: a row (F, 12) of all it needs of one.

    The first corner, the sides from it to the second and the third, and the scalar products of the
    first side with itself, of both, and of the second with itself.
    """
    first, second, third = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac = second - first, third - first
    products = [np.einsum("fi,fi->f", x, y)[:, None] for x, y in ((ab, ab), (ab, ac), (ac, ac))]
    return np.concatenate([first, ab, ac, *products], axis=1)


def closest_on_facets(
    facets: Float64Array, points: Float64Array, index: IndexArray
) -> tuple[Float64Array, Float64Array]:
    """Where each point's triangle is closest to it: weights (N, 3) and position (N, 3).

    The weights are barycentric, and exactly zero where the closest point lies on an edge or a
    corner, so that callers can tell the three apart without a tolerance.

    Args:
        facets: (F, 12), see `facets_of`.
        points: (N, 3).
        index: (N,) the triangle that belongs to each.
    """
    row = np.ascontiguousarray(facets.take(index, axis=0).T)
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
        products: (3, N), see `facets_of`.
    """
    (one, two), (aa, ab, bb) = along, products
    area = aa * bb - ab * ab
    area = np.where(area > 0, area, np.inf)
    second, third = (bb * one - ab * two) / area, (aa * two - ab * one) / area
    return np.stack([1 - second - third, second, third])


def _on_edges(along: Float64Array, products: Float64Array) -> Float64Array:
    """Barycentric coordinates (3, N) of the point of the three edges closest to each point."""
    (one, two), (aa, ab, bb) = along, products
    length = np.stack([aa, bb, aa - 2 * ab + bb])
    share = np.stack([one, two, (two - ab) - (one - aa)])
    share = np.clip(np.divide(share, length, out=np.zeros_like(share), where=length > 0), 0.0, 1.0)
    second = np.stack([share[0], np.zeros_like(one), 1 - share[2]])
    third = np.stack([np.zeros_like(one), share[1], share[2]])
    # Squared distances less that of the first corner, which all three share: the least decides.
    further = second * (second * aa - 2 * one) + third * (third * bb - 2 * two)
    nearest = (further + 2 * second * third * ab).argmin(0)
    chosen = nearest, np.arange(len(one))
    second, third = second[chosen], third[chosen]
    first = np.where(nearest == 2, 0.0, 1 - second - third)
    return np.stack([first, second, third])
