"""Smooth displacement fields on a surface, as sparse matrices.

A field is given by displacements at nodes spread over the surface. Its energy is that of a Matérn
random field, (κ² − Δ) u = white noise, whose precision matrix is sparse (Lindgren, Rue and
Lindström 2011): displacements of a stated size that are alike within a stated range.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from ...errors import FacebenchError
from ..surface.triangles import Float64Array, IndexArray, cross_rows, dot_rows

N_BLENDED = 8  # Nodes whose displacements a point takes its own from.
N_ROUND = 12  # Nodes around a node that its displacement is compared with.
# Damping of the slope across a neighbourhood that lies in a plane, where nothing determines it.
FLATNESS = 1e-3
# Decimals of a millimetre within which points of a symmetric mesh are equally far.
ROUNDED_DIGITS = 6

SparseMatrix: TypeAlias = Any  # scipy.sparse.csr_matrix of float64: SciPy states no types.


class SmoothField:
    """The displacements u of M nodes chosen on a surface, and how unlikely each choice of u is.

    Args:
        points: (N, 3) of a surface, mm, more than a dozen cells of the spacing wide.
        areas: (N,) that each point stands for.
        spacing_mm: between nodes.
        range_mm: distance at which displacements are almost unrelated.

    Attributes:
        nodes: (M, 3), mm.
        precision: (M, M) of one component of u at a spread of 1 mm: the energy is uᵀ Q u.

    Raises:
        FacebenchError: the surface is no wider than a few cells.
    """

    def __init__(self, nodes: Float64Array, spacing_mm: float, range_mm: float) -> None:
        self.nodes = nodes
        if len(nodes) < N_ROUND + 2:
            raise FacebenchError(
                f"only {len(nodes)} patches of {spacing_mm:g} mm of the prediction lie in the crop",
                "check its unit, and that it is one face and the scan another of the same part",
            )
        self.precision = _precision(nodes, spacing_mm, range_mm)

    def basis(self, points: Float64Array) -> SparseMatrix:
        """Weights (N, M) of the nodes' displacements in those of points (N, 3)."""
        return _affine_weights(*_neighbours(self.nodes, points, N_BLENDED, 0), points, self.nodes)


def grid_subsample(
    points: Float64Array, areas: Float64Array, spacing_mm: float
) -> tuple[IndexArray, Float64Array]:
    """One point in each cell of a grid, the one nearest to the cell's centroid, and its area.

    The grid stands in the surface's own axes, so that the choice turns with it.

    Args:
        points: (N, 3) of a surface, mm.
        areas: (N,) that each stands for.
        spacing_mm: side of a cell.

    Returns:
        Indices (M,) and the area (M,) of the surface in each cell.
    """
    own = _in_own_axes(points, areas)
    cell = _cell_of(own, spacing_mm)
    inside = np.bincount(cell, areas).astype(np.float64)
    sums = np.stack([np.bincount(cell, column * areas) for column in own.T], axis=1)
    means = sums / inside[:, None]
    distance = np.linalg.norm(own - means[cell], axis=1)
    # Rounded, then by place: on a symmetric mesh two points are equally near, and the last bit of
    # a rotation must not decide between them.
    order = np.lexsort((*own.round(ROUNDED_DIGITS).T, distance.round(ROUNDED_DIGITS), cell))
    ordered = cell[order]
    return np.asarray(order[np.r_[True, ordered[1:] != ordered[:-1]]], np.int64), inside


def _cell_of(own: Float64Array, spacing_mm: float) -> IndexArray:
    cells = np.floor((own - own.min(0)) / spacing_mm).astype(np.int64)
    code = np.ravel_multi_index(tuple(cells.T), tuple(cells.max(0) + 1))
    return np.asarray(np.unique(code, return_inverse=True)[1], np.int64)


def _in_own_axes(points: Float64Array, areas: Float64Array) -> Float64Array:
    """Points (N, 3) in the principal axes of their areas (N,), each towards its longer tail.

    The axis of which the points are most symmetric takes the direction that makes the three
    right-handed: a face's own symmetry leaves its sign open.
    """
    shares = areas / areas.sum()
    centred = points - shares @ points
    _, axes = np.linalg.eigh((centred.T * shares) @ centred)
    own = centred @ axes
    skewness = (shares @ own**3) / (shares @ own**2).clip(1e-12) ** 1.5
    signs = np.where(skewness < 0, -1.0, 1.0)
    open_axis = int(np.abs(skewness).argmin())
    signs[open_axis] *= np.sign(np.linalg.det(axes * signs))
    return np.asarray(own * signs)


def _precision(nodes: Float64Array, spacing_mm: float, range_mm: float) -> SparseMatrix:
    """Precision matrix of a Matérn field of smoothness 1 and variance 1 on a surface.

    Source: Lindgren, Rue and Lindström 2011, section 2: κ = √8 / range, and white noise of
    variance 4 π κ² a unit area.
    """
    kappa = np.sqrt(8) / range_mm  # Correlation 0.1 at the range.
    neighbours, distances = _neighbours(nodes, nodes, N_ROUND, 1)
    weights = _affine_weights(neighbours, distances, nodes, nodes)
    # The mean over a ring less the middle is Δu times a quarter of the ring's mean square radius
    # (the mean value property of harmonic functions, one order on).
    squared = sparse_rows(neighbours[:, :-1], distances[:, :-1] ** 2, len(nodes))
    square: Float64Array = np.asarray(abs(weights).multiply(squared).sum(1))
    unlike = sparse.identity(len(nodes)) - weights
    # The area of a node, spacing², is the mass matrix; 4 π κ² makes the variance 1.
    operator = kappa**2 * sparse.identity(len(nodes)) + sparse.diags(4 / square.ravel()) @ unlike
    return sparse.csr_matrix(operator.T @ operator * (spacing_mm**2 / (4 * np.pi * kappa**2)))


def _neighbours(
    nodes: Float64Array, points: Float64Array, count: int, skipped: int
) -> tuple[IndexArray, Float64Array]:
    """The nearest nodes (N, count + 1) of each point and their distances, the nearest left out."""
    distances, neighbours = cKDTree(nodes).query(points, k=count + 1 + skipped)
    return np.asarray(neighbours)[:, skipped:], np.asarray(distances)[:, skipped:]


def _affine_weights(
    neighbours: IndexArray, distances: Float64Array, points: Float64Array, nodes: Float64Array
) -> SparseMatrix:
    """Moving least squares: weights (N, M) that give affine functions of space their own value.

    A field that stretches or shears the whole surface is thereby as smooth as one that moves it.
    The last neighbour only sets the size: weights fall to zero at its distance.
    """
    size = distances[:, -1:].clip(1e-9)
    # A smooth weight: with a jump where a neighbour leaves, so would the displacements jump.
    near = ((1 - (distances / size) ** 2) ** 2)[:, :-1]
    index = neighbours[:, :-1]
    offsets = (nodes.take(index, axis=0) - points[:, None]) / size[:, :, None]
    weighted = (offsets * near[..., None]).transpose(0, 2, 1)
    total, first, second = near.sum(1), (near[:, None] @ offsets)[:, 0].T, weighted @ offsets
    # Neighbours in a plane leave the slope across it open: damp it towards none.
    second[:, [0, 1, 2], [0, 1, 2]] += FLATNESS * total[:, None]
    # The first row of the inverse of the moments, of which `second` is all but the first row and
    # column: by Schur's complement and the cofactors, many times as fast as solving each.
    rows = np.ascontiguousarray(second.transpose(1, 2, 0))
    cofactors = np.stack([cross_rows(rows[axis - 2], rows[axis - 1]) for axis in range(3)])
    slope = dot_rows(cofactors, first[:, None]) / dot_rows(rows[0], cofactors[0])
    shares = near * (1 - (slope.T[:, None] @ offsets.transpose(0, 2, 1))[:, 0])
    shares /= (total - dot_rows(slope, first))[:, None]
    return sparse_rows(index, shares, len(nodes))


def sparse_rows(index: IndexArray, values: Float64Array, width: int) -> SparseMatrix:
    """The sparse matrix (N, width) that has values (N, K) at columns (N, K)."""
    starts: Any = np.arange(len(index) + 1) * index.shape[1]
    return sparse.csr_matrix((values.ravel(), index.ravel(), starts), (len(index), width))
