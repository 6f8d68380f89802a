import numpy as np

from facebench.bench.surface.similarity import Similarity, step_jacobian


def test_inverse_and_composition(any_pose) -> None:
    first, second = any_pose(1, 0.8), any_pose(2, 1.3)
    points = np.random.default_rng(0).standard_normal((20, 3)) * 100
    np.testing.assert_allclose(first.inverse().apply(first.apply(points)), points, atol=1e-9)
    both = second.after(first)
    np.testing.assert_allclose(both.apply(points), second.apply(first.apply(points)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(both.rotation), 1, atol=1e-12)


def test_the_jacobian_is_the_derivative_of_a_step() -> None:
    rng = np.random.default_rng(0)
    centre, points = rng.standard_normal(3) * 50, rng.standard_normal((10, 3)) * 80
    normals = rng.standard_normal((10, 3))
    jacobian = step_jacobian(points - centre, normals)
    for parameter, column in zip(np.eye(7), jacobian.T, strict=True):
        there = Similarity.step(1e-5 * parameter, centre).apply(points)
        back = Similarity.step(-1e-5 * parameter, centre).apply(points)
        change = ((there - back) / 2e-5 * normals).sum(1)
        np.testing.assert_allclose(column, change, rtol=1e-7, atol=1e-6)
