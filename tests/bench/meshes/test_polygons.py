"""Polygons are covered once by their triangles, whatever their shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facebench.bench.meshes.files import load_mesh
from facebench.bench.meshes.polygons import triangulate

ANGLES = np.linspace(0, 2 * np.pi, 9)[:-1]
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
SHAPES = {
    "arrow, tip first": [(0, 0), (2, 2), (0, 1), (-2, 2)],
    "arrow, tip second": [(-2, 2), (0, 0), (2, 2), (0, 1)],
    "star": CIRCLE * np.where(np.arange(8) % 2, 0.3, 1.0)[:, None],
    "comb": [
        (0, 0),
        (5, 0),
        (5, 3),
        (4, 3),
        (4, 1),
        (3, 1),
        (3, 3),
        (2, 3),
        (2, 1),
        (1, 1),
        (1, 3),
    ],
    "frame, by a slit": [
        *((0, 0), (4, 0), (4, 4), (0, 4), (0, 0)),
        *((1, 1), (1, 3), (3, 3), (3, 1), (1, 1)),
    ],
    "corner in line": [(0, 0), (2, 0), (2, 2), (1, 1), (0, 2), (0, 1)],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
@pytest.mark.parametrize("first", range(4))
def test_a_concave_polygon_is_covered_once(shape: object, first: int) -> None:
    flat = np.roll(np.array(shape, float), first, axis=0)
    turn = Rotation.random(random_state=first).as_matrix()
    points = np.column_stack([flat, np.zeros(len(flat))]) @ turn.T + 100
    count = len(points)
    found = triangulate(np.arange(count), np.array([count]), points)
    a, b, c = (points[found[:, i]] for i in range(3))
    areas = np.cross(b - a, c - a) @ turn[:, 2] / 2
    x, y = flat.T
    whole = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
    # None is turned, and together they are as large as it is.
    assert len(found) == count - 2 and areas.min() > -1e-9
    assert areas.sum() == pytest.approx(whole)


def test_convex_and_bent_polygons_are_fans_about_their_first_corner_in_order() -> None:
    points = np.column_stack([np.tile(CIRCLE, (2, 1)), np.linspace(0, 1.2, 16)])
    points[8:] += 5
    found = triangulate(np.r_[0:8, 8:11, 8:12], np.array([8, 3, 4]), points)
    fan = [[0, i, i + 1] for i in range(1, 7)]
    assert found.tolist() == [*fan, [8, 9, 10], [8, 9, 10], [8, 10, 11]]


def test_edges_that_cross_leave_a_fan_and_too_much_is_refused() -> None:
    bow = np.array([(0, 0, 0), (1, 1, 0), (1, 0, 0), (0, 1, 0)], float)
    assert triangulate(np.arange(4), np.array([4]), bow).tolist() == [[0, 1, 2], [0, 2, 3]]
    zigzag = np.array([(i, 9 * (i % 2) + i * i, 0) for i in range(5000)], float)
    with pytest.raises(ValueError, match="concave polygons of 5,000 corners"):
        triangulate(np.arange(5000), np.array([5000]), zigzag)


ARROW = ((0, 0, 0), (2, 2, 0), (0, 1, 0), (-2, 2, 0))
ROWS = "\n".join(f"{x} {y} {z}" for x, y, z in ARROW)
FILES = {
    "faces first.obj": "f 4 1 2 3\n" + "\n".join(f"v {row}" for row in ROWS.splitlines()),
    "a.off": f"OFF\n4 1 0\n{ROWS}\n4 3 0 1 2\n",
    "a.ply": (
        "ply\nformat ascii 1.0\nelement face 1\nproperty list uchar int vertex_indices\n"
        "element vertex 4\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
        f"4 3 0 1 2\n{ROWS}\n"
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_concave_quad_of_a_file_is_cut_inside(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(FILES[name])
    assert np.sort(load_mesh(path).triangles).tolist() == [[0, 2, 3], [0, 1, 2]]
