"""Constraints on a deformation: tangent planes at closest points, and the rotation of normals.

A plane says nothing of motion along it. Where a surface bends, its normal does: a nose that lies
3 mm too high has another normal there than the scan beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..surface.triangles import Float64Array, IndexArray
from .deformation import FLATNESS, SparseMatrix, sparse_rows
from .even_points import EvenPoints

# Standard deviations in the median absolute value of normally distributed residuals.
DEVIATIONS = 1.4826
OUTLIER = 1.0  # In units of the noise: residuals much larger have hardly any weight.
# Normals are smoothed over a wing of a nose: of less they show a person's folds and the noise.
SMOOTH_MM = 8.0
N_CELLS, LEAST_CELLS = 48, 8  # Of a fit with four parameters; a disc of 8 mm has some 32.
# As `NonRigidSettings.dependence`: smoothed normals say the same over less of the face.
NORMAL_DEPENDENCE = 3.0


@dataclass(frozen=True, eq=False)
class PlaneConstraints:
    """Point-to-plane constraints: points of the prediction and the planes they are drawn to.

    Attributes:
        rows: (N,) of the points in the basis of their displacements, see `Assembly`.
        points: (N, 3) before the deformation.
        targets, normals: (N, 3) of the planes.
        residuals: (N,) signed distance of the deformed points to the planes.
        weights: (N,) of the overlap region, times the area that each point stands for, in cells.
    """

    rows: IndexArray
    points: Float64Array
    targets: Float64Array
    normals: Float64Array
    residuals: Float64Array
    weights: Float64Array

    def robust_weights(self, noise: float) -> Float64Array:
        """The weights (N,), less where the residual is large."""
        return self.weights * robust_factor(self.residuals, noise)

    def forms(self, noise: float) -> tuple[Float64Array, Float64Array]:
        """Quadratic forms (N, 3, 3) and right-hand sides (N, 3) of the points' displacements."""
        weights = (self.robust_weights(noise) / noise**2)[:, None]
        forms = weights[..., None] * self.normals[:, :, None] * self.normals[:, None]
        # From the undeformed points: the unknowns are whole displacements, not increments, so that
        # the field's energy is that of the deformation.
        offset = ((self.targets - self.points) * self.normals).sum(1)[:, None]
        return forms, weights * offset * self.normals


class NormalField:
    """Normals of a surface, smoothed, and how they turn along it.

    Around each place a linear function of position is fitted to the normals of cells of the
    surface. Its value is the smoothed normal, its slope S the shape operator: dn = S dx.

    Args:
        cells: (C,) of the surface.
        places: (K, 3) where normals are asked for; by default at every cell.

    Attributes:
        places: (K, 3), mm.
        normals: (K, 3), not of unit length where the surface bends.
        turns: (K, 3, 3), radians a mm.
        known: (K,) whether enough of the surface lies around.
    """

    def __init__(self, cells: EvenPoints, places: Float64Array | None = None) -> None:
        centres, normals = cells.positions, cells.normals
        self.places = centres if places is None else places
        near, weights = _around(self.places, centres, normals, cells.areas)
        self.known = (weights > 0).sum(1) >= LEAST_CELLS
        offsets = (centres[near] - self.places[:, None]) / SMOOTH_MM
        shares, values = _linear_fits(offsets, weights, self.known, normals[near])
        self._fit = sparse_rows(near, shares, len(centres))
        self.normals = values[:, 0]
        self.turns = values[:, 1:].transpose(0, 2, 1) / SMOOTH_MM

    @cached_property
    def tree(self) -> Any:
        """Of the places."""
        return cKDTree(self.places)

    def smooth(self, normals: Float64Array) -> Float64Array:
        """Smoothed normals (K, 3) at the places, of others (C, 3) of the cells."""
        return np.asarray(self._fit @ normals)


def _around(
    places: Float64Array, centres: Float64Array, normals: Float64Array, areas: Float64Array
) -> tuple[IndexArray, Float64Array]:
    """The cells (K, N) around each place and their weights in its fit, 0 for none."""
    count = min(N_CELLS, len(centres))
    distances, near = cKDTree(centres).query(places, count, distance_upper_bound=SMOOTH_MM)
    distances = np.reshape(distances, (len(places), count))
    found = np.isfinite(distances)
    near = np.where(found, np.reshape(near, found.shape), 0)
    # Of the side that is meant: a nostril's inside lies within reach of its outside.
    found &= np.einsum("kni,ki->kn", normals[near], normals[near[:, 0]]) > 0
    fading = 1 - (np.where(found, distances, 0.0) / SMOOTH_MM) ** 2
    return near, areas[near] * np.where(found, fading, 0.0) ** 2


def _linear_fits(
    offsets: Float64Array, shares: Float64Array, known: NDArray[np.bool_], values: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Linear functions fitted to values (K, N, 3) at offsets (K, N, 3), by shares (K, N).

    Returns:
        Factors (K, N) that make the function at the middle of any values; and of these ones the
        function (K, 4, 3): what it is at the middle, and its slopes.
    """
    terms = np.concatenate([np.ones((*shares.shape, 1)), offsets], axis=2)
    weighted = (terms * shares[..., None]).transpose(0, 2, 1)
    moments = weighted @ terms
    # Cells in a plane leave the slope across it open: damp it towards none.
    moments[:, [1, 2, 3], [1, 2, 3]] += FLATNESS * shares.sum(1)[:, None]
    moments[~known] = np.eye(4)
    at_middle = np.broadcast_to(np.eye(4)[:, :1], (len(shares), 4, 1))
    solved = np.linalg.solve(moments, np.concatenate([at_middle, weighted @ values], axis=2))
    return (solved[:, None, :, 0] @ weighted)[:, 0], solved[:, :, 1:]


def turning_forms(
    moved: Float64Array,
    normals: Float64Array,
    planes: PlaneConstraints,
    scan: NormalField,
    least_rad: float,
) -> tuple[Float64Array, Float64Array]:
    """Constraints of rotated normals on the motion along the surface, as `PlaneConstraints.forms`.

    A point that moves by t along the scan comes to the normal n + S t. The motion is sought that
    gives each point the normal it has on the prediction: S t = n' − n. Where the scan is flat S is
    none, and so is what is told; where normals differ by much it is no matter of place.

    Args:
        moved: (N, 3) by which they are displaced now.
        normals: (N, 3) smoothed, of the deformed prediction.
        planes: of the same points: where they lie on the scan now.
        scan: its normals.
        least_rad: standard deviation that the normals are taken to have at least.
    """
    nearest = scan.tree.query(planes.targets)[1]
    turns = scan.turns[nearest]
    there = scan.normals[nearest]
    there = there + np.einsum("nab,nb->na", turns, planes.targets - scan.places[nearest])
    # Within the tangent plane: across it the planes themselves tell.
    along = np.eye(3) - planes.normals[:, :, None] * planes.normals[:, None]
    turns = along @ turns @ along
    turns = (turns + turns.transpose(0, 2, 1)) / 2  # As a shape operator is.
    differences = np.einsum("nab,nb->na", along, normals - there)
    weights = planes.weights * scan.known[nearest]
    noise = least_rad
    if weights.any():
        spread = robust_spread(differences.ravel(), np.repeat(weights, 3))
        noise = max(noise, NORMAL_DEPENDENCE * spread)
    weights = weights * robust_factor(np.linalg.norm(differences, axis=1), noise) / noise**2
    # The unknowns are whole displacements: what the points have moved already is added.
    wanted = differences + np.einsum("nab,nb->na", turns, moved)
    forms = weights[:, None, None] * (turns @ turns)
    return forms, weights[:, None] * np.einsum("nab,nb->na", turns, wanted)


class Assembly:
    """Makes quadratic forms of points' displacements those of the nodes'.

    Args:
        basis: (N, M) of the points' displacements, as many nodes in each row.
    """

    def __init__(self, basis: SparseMatrix) -> None:
        self.basis = basis
        points, count = basis.shape
        nodes = basis.indices.reshape(points, -1).astype(np.int64)
        shares = basis.data.reshape(nodes.shape)
        first, second = np.triu_indices(nodes.shape[1])
        products = shares[:, first] * shares[:, second] * np.where(first == second, 0.5, 1.0)
        # Once for all steps: where the products of each point's nodes belong does not change. Of
        # two nodes once: the transpose has the other half.
        place = nodes[:, first] * count + nodes[:, second]
        self._sums = sparse_rows(place, products, count**2).T.tocsr()

    def __call__(
        self, rows: IndexArray, forms: Float64Array, right: Float64Array
    ) -> tuple[Float64Array, Float64Array]:
        """Matrix (3M, 3M) and right-hand side (3M,), all x before all y before all z.

        Args:
            rows: (K,) of the basis, any of them several times.
            forms: (K, 3, 3), symmetric.
            right: (K, 3).
        """
        points, count = self.basis.shape
        pairs = np.stack(np.triu_indices(3), axis=1)
        terms = np.concatenate([forms[:, *pairs.T], right], axis=1)
        at_rows = np.stack([np.bincount(rows, column, points) for column in terms.T], axis=1)
        blocks = self._sums @ at_rows[:, : len(pairs)]
        matrix = np.empty((3, count, 3, count))
        for (a, b), block in zip(pairs, blocks.T, strict=True):
            half = block.reshape(count, count)
            matrix[a, :, b] = matrix[b, :, a] = half + half.T
        right = self.basis.T @ at_rows[:, len(pairs) :]
        return matrix.reshape(3 * count, 3 * count), np.asarray(right.T.ravel())


def robust_factor(residuals: Float64Array, noise: float) -> Float64Array:
    """Factors (N,) of the weights of residuals: Geman and McClure's estimator."""
    return np.asarray(1 / (1 + (residuals / (OUTLIER * noise)) ** 2) ** 2)


def robust_spread(residuals: Float64Array, weights: Float64Array) -> float:
    """Standard deviation of residuals (N,) by their weighted median absolute value.

    Args:
        residuals: (N,).
        weights: (N,), some above zero.
    """
    order = np.argsort(np.abs(residuals), kind="stable")
    # The weighted median: where half of the weight lies below.
    share = np.cumsum(weights[order])
    middle = order[np.searchsorted(share, share[-1] / 2)]
    return float(DEVIATIONS * np.abs(residuals[middle]))
