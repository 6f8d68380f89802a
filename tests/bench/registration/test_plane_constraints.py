"""Points drawn to planes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from facebench.bench.registration.nonrigid_system import OUTLIER, PlaneConstraints, robust_spread


def test_the_spread_of_normal_residuals_is_their_standard_deviation() -> None:
    residuals = np.random.default_rng(0).normal(0.0, 0.7, 50_000)
    assert robust_spread(residuals, np.ones(50_000)) == pytest.approx(0.7, rel=0.02)


def test_outliers_and_what_has_no_weight_change_the_spread_little() -> None:
    rng = np.random.default_rng(1)
    residuals = rng.normal(0.0, 0.7, 20_000)
    far = residuals + np.where(rng.random(20_000) < 0.1, 50.0, 0.0)
    ours = robust_spread(residuals, np.ones(20_000))
    assert robust_spread(far, np.ones(20_000)) < 1.25 * ours
    weights = (far == residuals).astype(float)
    assert robust_spread(far, weights) == pytest.approx(ours, rel=0.02)


def test_normal_equations_are_those_of_weighted_least_squares() -> None:
    """Against a dense solution, point by point and axis by axis."""
    rng = np.random.default_rng(2)
    basis, points, targets = rng.random((30, 4)), rng.random((30, 3)), rng.random((30, 3))
    normals = rng.standard_normal((30, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    residuals, weights = rng.standard_normal(30), rng.random(30)
    pulls = PlaneConstraints(sparse.csr_matrix(basis), points, targets, normals, residuals, weights)
    matrix, right = pulls.normal_equations(0.8)
    rows = np.einsum("nc,nm->ncm", normals, basis).reshape(30, 12)
    trust = weights / (1 + (residuals / (OUTLIER * 0.8)) ** 2) ** 2
    wanted = ((targets - points) * normals).sum(1)
    np.testing.assert_allclose(matrix, rows.T @ (rows * trust[:, None]) / 0.8**2)
    np.testing.assert_allclose(right, rows.T @ (trust * wanted) / 0.8**2)
