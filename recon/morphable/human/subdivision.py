"""Catmull-Clark subdivision of a part of a mesh of quads, as a sparse matrix.

The face needs finer skin than the back of the head, and the matrix needs to be applied to a mean
and 112 modes: vertices of the fine mesh are weighted means of the coarse ones (Catmull and Clark
1978). Where a subdivided face meets one that is not, the latter becomes triangles around the new
vertex on their common edge, so that no crack opens.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags, vstack

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def edges_of(quads: Ints) -> tuple[Ints, Ints]:
    """Ends (E, 2) of all edges, rising and sorted, and the edge (Q, 4) from each corner onwards."""
    sides = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
    ends, number = np.unique(np.sort(sides, axis=1), axis=0, return_inverse=True)
    return ends, number.reshape(-1, 4)


def refine(
    quads: Ints, n_vertices: int, wanted: Mask, triangles: Ints | None = None
) -> tuple[csr_matrix, Ints, Ints, dict[tuple[int, int], int]]:
    """The mesh after one step of Catmull-Clark subdivision on the wanted faces.

    Args:
        quads: (Q, 4) vertices.
        n_vertices: V.
        wanted: (Q,) which faces become four. A face all of whose edges are split becomes four too.
        triangles: (T, 3) other faces of the mesh, which no wanted face may touch.

    Returns:
        (W, V) fine vertices as weighted means of coarse ones, rows sum to 1: the coarse vertices
        keep their numbers, then follow those on edges, then those in faces; quads (Q, 4);
        triangles (T, 3) where fine and coarse faces meet; and the number of the vertex on each
        split edge, by its ends in rising order.
    """
    ends, of_quad = edges_of(quads)
    wanted = _with_enclosed(wanted, of_quad)
    split = _split_edges(wanted, of_quad)
    on_edge = _numbers(split, n_vertices)
    in_face = _numbers(wanted, n_vertices + int(split.sum()))
    matrix = _catmull_clark(quads, n_vertices, wanted, ends, of_quad)
    fine, fans = split_faces(quads, of_quad, on_edge, in_face)
    others = np.zeros((0, 3), np.int64) if triangles is None else triangles
    on_ends = zip(ends[split].tolist(), on_edge[split].tolist(), strict=True)
    edge_vertex = {(start, end): vertex for (start, end), vertex in on_ends}
    return matrix, fine, np.concatenate([others, fans]), edge_vertex


def refine_flat(
    uv: NDArray[np.float64], uv_quads: Ints, uv_triangles: Ints, quads: Ints, wanted: Mask
) -> tuple[NDArray[np.float64], Ints, Ints]:
    """Texture coordinates (T, 2), their quads and triangles after the same step, in its order.

    They are means of the coarse ones: a texture must not swim where the shape is smoothed. Seams
    part texture edges that are one in space, so what is split is told by the mesh in space.
    """
    of_quad = edges_of(quads)[1]
    wanted = _with_enclosed(wanted, of_quad)
    split_side = _split_edges(wanted, of_quad)[of_quad]
    ends, of_flat_quad = edges_of(uv_quads)
    split = np.zeros(len(ends), bool)
    split[of_flat_quad[split_side]] = True
    # An edge that is split in space on one side of a seam is split on the other too, but a flat
    # edge has one number for all faces that share it: nothing else need be matched.
    on_edge = np.where(split, len(uv) + np.cumsum(split) - 1, -1)
    in_face = _numbers(wanted, len(uv) + int(split.sum()))
    points = np.concatenate([uv, uv[ends[split]].mean(axis=1), uv[uv_quads[wanted]].mean(axis=1)])
    fine, fans = split_faces(uv_quads, of_flat_quad, on_edge, in_face)
    return points, fine, np.concatenate([uv_triangles, fans])


def cut_quads(quads: Ints, along: Mask) -> Ints:
    """Triangles (2 Q, 3), cut from first to third corner where `along` (Q,), else across."""
    a, b, c, d = quads.T
    first = np.stack([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)], axis=1)
    second = np.stack([np.stack([a, b, d], axis=1), np.stack([b, c, d], axis=1)], axis=1)
    return np.where(along[:, None, None], first, second).reshape(-1, 3)


def split_faces(quads: Ints, edge_of_quad: Ints, on_edge: Ints, in_face: Ints) -> tuple[Ints, Ints]:
    """Quads and triangles of which a refined mesh consists.

    Args:
        quads: (Q, 4) coarse faces.
        edge_of_quad: (Q, 4) edge from each corner to the next.
        on_edge: (E,) new vertex on each edge, -1 where it is not split.
        in_face: (Q,) new vertex in each face, -1 where it is not split.

    Returns:
        Quads: first those of split faces, four each, then the faces that are left as they are;
        and the triangles of faces with a split edge that are not split themselves.
    """
    middle = on_edge[edge_of_quad]
    whole = in_face >= 0
    # Corner, middle of the edge ahead, centre, middle of the edge behind: the winding is kept.
    centre = np.repeat(in_face[whole, None], 4, axis=1)
    behind = np.roll(middle[whole], 1, axis=1)
    fine = np.stack([quads[whole], middle[whole], centre, behind], axis=2).reshape(-1, 4)
    touched = ~whole & (middle >= 0).any(axis=1)
    pairs = zip(quads[touched].tolist(), middle[touched].tolist(), strict=True)
    fans = [triangle for corners, middles in pairs for triangle in _fan(corners, middles)]
    triangles = np.array(fans, np.int64).reshape(-1, 3)
    return np.concatenate([fine, quads[~whole & ~touched]]), triangles


def _fan(corners: list[int], middles: list[int]) -> list[list[int]]:
    """Triangles of a face with vertices on some of its edges, around the first such vertex.

    Around a vertex on an edge no triangle is flat; around a corner it would be.
    """
    outline = [v for pair in zip(corners, middles, strict=True) for v in pair if v >= 0]
    first = outline.index(next(v for v in middles if v >= 0))
    ring = outline[first:] + outline[:first]
    return [[ring[0], one, two] for one, two in pairwise(ring[1:])]


def _with_enclosed(wanted: Mask, of_quad: Ints) -> Mask:
    """Also the faces all of whose edges are split: as a fan they would have slivers."""
    enclosed = _split_edges(wanted, of_quad)[of_quad].all(axis=1)
    return wanted | enclosed


def _split_edges(wanted: Mask, of_quad: Ints) -> Mask:
    # Every edge is a side of some quad, so the last one has the largest number.
    split = np.zeros(int(of_quad.max()) + 1, bool)
    split[of_quad[wanted]] = True
    return split


def _numbers(chosen: Mask, start: int) -> Ints:
    return np.where(chosen, start + np.cumsum(chosen) - 1, -1)


def _catmull_clark(
    quads: Ints, n_vertices: int, wanted: Mask, ends: Ints, of_quad: Ints
) -> csr_matrix:
    """Rows: coarse vertices, split edges, wanted faces."""
    faces = _means(quads[wanted], n_vertices)
    # How many faces an edge has, and how many of them are split.
    around = np.bincount(of_quad.ravel(), minlength=len(ends))
    inside = np.bincount(of_quad[wanted].ravel(), minlength=len(ends))
    smooth = (inside == 2) & (around == 2)
    owner = np.repeat(np.arange(int(wanted.sum())), 4)
    of_edge = _incidence(of_quad[wanted].ravel(), owner, (len(ends), int(wanted.sum())))
    # An inner edge's vertex is the mean of its ends and its faces' centres; elsewhere its middle.
    edge_rows = diags(np.where(smooth, 0.5, 1.0)) @ _means(ends, n_vertices)
    edge_rows = edge_rows + diags(0.25 * smooth) @ (of_edge @ faces)
    old = _old_vertices(quads, n_vertices, wanted, ends, smooth)
    matrix: csr_matrix = vstack([old, edge_rows[inside > 0], faces]).tocsr()
    # A fixed order of the terms: sums are then the same to the last bit wherever they are made.
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _old_vertices(
    quads: Ints, n_vertices: int, wanted: Mask, ends: Ints, smooth: Mask
) -> csr_matrix:
    """(F + 2 R + (n - 3) P) / n of an inner vertex P with n faces of centre F and edges of middle
    R; vertices at the border of what is split stay where they are."""
    n_edges = np.bincount(ends.ravel(), minlength=n_vertices)
    n_smooth = np.bincount(ends[smooth].ravel(), minlength=n_vertices)
    inner = (n_edges == n_smooth) & (n_edges > 0)
    n = np.maximum(n_edges, 1)
    corners, owner = quads[wanted].ravel(), np.repeat(np.arange(int(wanted.sum())), 4)
    touch = _incidence(corners, owner, (n_vertices, int(wanted.sum())))
    face_sum = touch @ _means(quads[wanted], n_vertices)
    side = np.repeat(np.arange(len(ends)), 2)
    edge_sum = _incidence(ends.ravel(), side, (n_vertices, len(ends)))
    edge_sum = edge_sum @ _means(ends, n_vertices)
    squared = (n * n).astype(np.float64)
    smoothed = face_sum.multiply((inner / squared)[:, None])
    smoothed = smoothed + edge_sum.multiply((2.0 * inner / squared)[:, None])
    own = np.where(inner, (n - 3.0) / n, 1.0)
    return csr_matrix(smoothed + diags(own))


def _means(groups: Ints, n_vertices: int) -> csr_matrix:
    """Rows that average the vertices of each group (G, K)."""
    owner = np.repeat(np.arange(len(groups)), groups.shape[1])
    total = _incidence(owner, groups.ravel(), (len(groups), n_vertices))
    return total / groups.shape[1] if len(groups) else total


def _incidence(rows: Ints, columns: Ints, shape: tuple[int, int]) -> csr_matrix:
    return coo_matrix((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
