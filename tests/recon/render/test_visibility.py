"""The scan-line z-buffer against a test of every pixel with every triangle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.recon.render.visibility import visible_triangles


def _brute_force(vertices: np.ndarray, triangles: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Depth (H, W) of the nearest front-facing triangle at each pixel centre, -inf for none."""
    height, width = size
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    short = min(size)
    points = np.stack([(2 * columns + 1 - width) / short, (height - 1 - 2 * rows) / short], -1)
    nearest = np.full(size, -np.inf)
    for a, b, c in vertices[triangles]:
        system = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
        if np.linalg.det(system) <= 1e-6:
            continue
        homogeneous = np.concatenate([points, np.ones((*size, 1))], -1)
        weights = homogeneous @ np.linalg.inv(system).T
        depth = weights @ np.array([a[2], b[2], c[2]])
        inside = (weights > 1e-9).all(-1) & (depth > nearest)
        nearest[inside] = depth[inside]
    return nearest


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_agrees_with_brute_force(seed: int) -> None:
    generator = np.random.default_rng(seed)
    vertices = generator.uniform(-1.3, 1.3, (40, 3))
    triangles = generator.integers(0, 40, (60, 3))
    size = (17, 23)
    pixels, shown, weights = visible_triangles(vertices, triangles, size)
    depth = np.full(size[0] * size[1], -np.inf)
    depth[pixels] = (weights.T * vertices[triangles[shown], 2]).sum(axis=1)
    expected = _brute_force(vertices, triangles, size)
    np.testing.assert_allclose(depth.reshape(size), expected, atol=1e-5)


def test_weights_rebuild_the_pixel() -> None:
    generator = np.random.default_rng(2)
    vertices, triangles = generator.uniform(-1, 1, (30, 3)), generator.integers(0, 30, (40, 3))
    pixels, shown, weights = visible_triangles(vertices, triangles, (64, 64))
    points = np.einsum("kn,nkc->nc", weights, vertices[triangles[shown]])
    columns = (points[:, 0] * 64 + 63) / 2
    rows = (63 - points[:, 1] * 64) / 2
    np.testing.assert_allclose(rows * 64 + columns, pixels, atol=0.02)


@pytest.mark.parametrize("offset", [0.0, 0.5, 1.0])
def test_a_split_square_has_neither_gap_nor_overlap(offset: float) -> None:
    corners = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
    corners[:, :2] += offset / 16
    pixels, *_ = visible_triangles(corners, np.array([[0, 1, 2], [0, 2, 3]]), (32, 32))
    assert len(pixels) == 16 * 16


def test_backs_and_what_is_out_of_view_are_not_drawn() -> None:
    corners = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0]])
    for place, triangle in ((corners, [0, 2, 1]), (np.add(corners, [3, 0, 0]), [0, 1, 2])):
        assert not len(visible_triangles(place, np.array([triangle]), (32, 32))[0])
