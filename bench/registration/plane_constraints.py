"""Points drawn to planes, with the noise that their distances are taken to have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..surface.triangles import Float64Array
from .deformation import SparseMatrix

DEVIATIONS = 1.4826
"""Standard deviations in the median absolute value of normally distributed residuals."""
OUTLIER = 1.0
"""Residuals beyond this many times the noise lose their say."""


@dataclass(frozen=True, eq=False)
class Pulls:
    """Points of the prediction and the planes they are pulled to.

    Attributes:
        basis: (N, M) of the points' displacements.
        points: (N, 3) before the deformation.
        targets, normals: (N, 3) of the planes.
        residuals: (N,) distance of the deformed points to the planes.
        weights: (N,).
    """

    basis: SparseMatrix
    points: Float64Array
    targets: Float64Array
    normals: Float64Array
    residuals: Float64Array
    weights: Float64Array

    def trust(self, noise: float) -> Float64Array:
        """The weights (N,), less where the residual is large: Geman and McClure's estimator."""
        return np.asarray(self.weights / (1 + (self.residuals / (OUTLIER * noise)) ** 2) ** 2)

    def normal_equations(self, noise: float) -> tuple[SparseMatrix, Float64Array]:
        """Matrix (3M, 3M) and right side (3M,), all x before all y before all z."""
        jacobian = sparse.hstack([sparse.diags(n) @ self.basis for n in self.normals.T]).tocsr()
        wanted = ((self.targets - self.points) * self.normals).sum(1)
        weighted = jacobian.T @ sparse.diags(self.trust(noise) / noise**2)
        return weighted @ jacobian, np.asarray(weighted @ wanted)


def robust_spread(residuals: Float64Array, weights: Float64Array) -> float:
    """Standard deviation of residuals (N,) by their weighted median absolute value.

    Args:
        residuals: (N,).
        weights: (N,), some above zero.
    """
    order = np.argsort(np.abs(residuals), kind="stable")
    share = np.cumsum(weights[order])
    middle = order[np.searchsorted(share, share[-1] / 2)]
    return float(DEVIATIONS * np.abs(residuals[middle]))
