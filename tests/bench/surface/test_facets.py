import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facebench.bench.surface.triangles import closest_on_facets, facets_of


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_the_closest_point_is_the_projection_on_the_triangle(seed: int, stretch: float) -> None:
    """q is the projection on a convex set exactly when (p - q)·(c - q) ≤ 0 for all its corners."""
    rng = np.random.default_rng(seed)
    corners = rng.standard_normal((50, 3, 3)) * [stretch, 1, 1]
    points = 2 * rng.standard_normal((50, 3)) * [stretch, 1, 1]
    weights, closest = closest_on_facets(facets_of(corners), points, np.arange(50))
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(
        closest, np.einsum("nk,nkc->nc", weights, corners), atol=1e-12 * stretch + 1e-12
    )
    outward = np.einsum("nc,nkc->nk", points - closest, corners - closest[:, None])
    scale = np.abs(corners).max() ** 2 + np.abs(points).max() ** 2
    # Rounding counts as often as a needle is longer than high: 2e-13 in 60,000 sets of triangles.
    longest = np.linalg.norm(corners[:, [1, 2, 0]] - corners, axis=2).max(1)
    sides = corners[:, 1:] - corners[:, :1]
    height = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / longest
    assert (outward.max(1) <= 1e-12 * scale * longest / height).all()


def test_a_point_over_an_edge_or_corner_has_weights_that_are_exactly_zero() -> None:
    corner = np.array([[[0.1, 0.2, 0.3], [1.1, 0.2, 0.3], [0.1, 1.2, 0.3]]])
    points = np.array([[0.6, -0.3, 1.0], [-1.0, -1.0, 0.0], [0.3, 0.4, 2.0]])
    weights, _ = closest_on_facets(facets_of(corner), points, np.zeros(3, np.int64))
    zeros = (weights == 0).sum(1)
    assert zeros.tolist() == [1, 2, 0]
