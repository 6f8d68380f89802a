"""Charts: nothing folds, nothing overlaps, nothing leaves the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from facebench.recon.morphable.load import load_model
from facebench.recon.texture.unwrap import MARGIN, boundaries, map_to_disc, unwrap

Floats = NDArray[np.float64]


def signed_areas(places: Floats, triangles: NDArray[np.integer]) -> Floats:
    a, b, c = places[triangles].swapaxes(0, 1)
    (x, y), (u, v) = (b - a).T, (c - a).T
    return (x * v - y * u) / 2.0


def polygon_area(corners: Floats) -> float:
    following = np.roll(corners, -1, axis=0)
    return float((corners[:, 0] * following[:, 1] - corners[:, 1] * following[:, 0]).sum() / 2.0)


def bumpy(seed: int, holes: int) -> tuple[Floats, NDArray[np.int64]]:
    """A sheet with a steep bump that overhangs where seen from above, and holes in it."""
    random = np.random.default_rng(seed)
    flat = np.vstack([random.uniform(-1, 1, (250, 2)), [[-1, -1], [1, -1], [1, 1], [-1, 1]]])
    triangles = Delaunay(flat).simplices.astype(np.int64)
    for middle in random.uniform(-0.5, 0.5, (holes, 2)):
        centres = flat[triangles].mean(axis=1)
        triangles = triangles[np.linalg.norm(centres - middle, axis=1) > 0.15]
    height = 1.5 * np.exp(-(flat**2).sum(axis=1) * 6.0)
    points = np.column_stack([flat[:, 0] * (1.0 + height), flat[:, 1] * (1.0 + height), height])
    used, local = np.unique(triangles, return_inverse=True)
    return 60.0 * points[used], local.reshape(-1, 3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 2))
def test_a_patch_covers_its_disc_exactly_once(seed: int, holes: int) -> None:
    """Positive triangles whose areas add up to the outline's, less its holes', cannot overlap."""
    points, triangles = bumpy(seed, holes)
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    once = np.unique(edges, axis=0, return_counts=True)
    circle = once[0][once[1] == 1].ravel()
    if (np.unique(circle, return_counts=True)[1] > 2).any():
        return
    chart = map_to_disc(points, triangles)
    outer, inner = boundaries(points, triangles)
    areas = signed_areas(chart, triangles)
    assert areas.min() > 0.0
    starts = [hole[:, 0] for hole in inner]
    gaps = sum(_hole_area(chart, hole) for hole in inner)
    assert all(len(start) >= 3 for start in starts)
    assert areas.sum() + gaps == pytest.approx(polygon_area(chart[outer]), rel=1e-9)


def _hole_area(chart: Floats, edges: NDArray[np.int64]) -> float:
    """Area inside directed edges that have the surface at their left."""
    (x, y), (u, v) = chart[edges[:, 0]].T, chart[edges[:, 1]].T
    return -float((x * v - y * u).sum() / 2.0)


def test_a_flat_disc_is_laid_out_as_itself() -> None:
    """Mean value weights reproduce any flat shape, so a round one keeps all its places."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    random = np.random.default_rng(0)
    inside = random.normal(0, 0.3, (150, 2))
    flat = np.vstack([ring, inside[np.linalg.norm(inside, axis=1) < 0.9]])
    points = np.pad(80.0 * flat, ((0, 0), (0, 1)))
    chart = map_to_disc(points, Delaunay(flat).simplices.astype(np.int64))
    np.testing.assert_allclose(chart, flat, atol=0.02)


@pytest.mark.parametrize("source", ["embedded", "ict"])
def test_no_triangle_of_a_face_model_folds_or_leaves_the_picture(
    source: str, request: pytest.FixtureRequest
) -> None:
    folder: Path | None = request.getfixturevalue("shared") if source == "ict" else None
    model = load_model("embedded" if folder is None else folder / "ict-facekit")
    uv, charted = unwrap(model.mean_shape, model.triangles)
    assert signed_areas(uv, model.triangles[charted]).min() > 0.0
    assert charted.mean() > 0.85
    assert uv.min() >= MARGIN - 1e-9 and uv.max() <= 1.0 - MARGIN + 1e-9


def test_the_embedded_face_is_one_chart_of_even_scale() -> None:
    model = load_model("embedded")
    uv, charted = unwrap(model.mean_shape, model.triangles)
    assert charted.all()
    flat = signed_areas(uv, model.triangles)
    surface = trimesh.Trimesh(model.mean_shape, model.triangles, process=False).area_faces
    scale = np.sqrt(flat / surface)
    low, high = np.percentile(scale, [1, 99])
    assert high / low < 1.3
    upright = uv[model.landmarks]
    assert upright[27:31, 1].min() > upright[48:60, 1].max() > upright[8, 1]
    assert upright[36:42, 0].max() < 0.5 < upright[42:48, 0].min()


def test_a_closed_part_is_cut_behind_and_charts_lie_apart() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=20.0)
    large = trimesh.creation.icosphere(subdivisions=3, radius=90.0)
    vertices = np.vstack([ball.vertices + np.array([200.0, 0.0, 0.0]), large.vertices])
    triangles = np.vstack([ball.faces, large.faces + len(ball.vertices)])
    uv, charted = unwrap(vertices, triangles)
    depth = vertices[triangles, 2].min(axis=1)
    small = np.arange(len(triangles)) < len(ball.faces)
    assert (depth[~charted & small] < -2.0).all()
    assert (depth[~charted & ~small] < -9.0).all()
    assert signed_areas(uv, triangles[charted]).min() > 0.0
    of_ball, of_large = (uv[np.unique(triangles[charted & part])] for part in (small, ~small))
    assert of_ball[:, 1].max() + MARGIN < of_large[:, 1].min()


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 10.0), st.floats(-500, 500))
def test_size_and_place_do_not_matter(scale: float, shift: float) -> None:
    points, triangles = bumpy(3, 1)
    moved, _ = unwrap(scale * points + shift, triangles)
    np.testing.assert_allclose(moved, unwrap(points, triangles)[0], atol=1e-6)
