"""What of a surface is seen from outside."""

from dataclasses import replace

import numpy as np
import pytest
from shapes import joined, sphere

from facebench.bench.surface.triangles import double_areas, lengths
from facebench.bench.surface.visibility import VIEW_DEG, axes_around, outside_of, view_directions
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

FRONTAL = np.eye(3)


def areas(mesh: Mesh) -> float:
    return float(lengths(double_areas(mesh.vertices, mesh.triangles)).sum() / 2)


def test_the_viewpoints_fill_a_cap_evenly() -> None:
    views = view_directions()
    np.testing.assert_allclose(np.linalg.norm(views, axis=1), 1)
    np.testing.assert_array_equal(views[0], [0, 0, 1])
    assert np.degrees(np.arccos(views[:, 2].min())) == pytest.approx(VIEW_DEG, abs=1e-6)
    nearest = np.sort(views @ views.T, axis=1)[:, -2]
    assert np.degrees(np.arccos(nearest)).max() < 30


def test_a_sphere_shows_what_viewpoints_see() -> None:
    """A ray at an angle a from the front leaves where the normal is within 90° of it: to 155°."""
    ball = sphere(np.zeros(3), 50.0)
    outside, left_out = outside_of(ball, FRONTAL)
    lowest = ball.vertices[outside.triangles].mean(1)[:, 2].min() / 50
    assert np.degrees(np.arccos(lowest)) == pytest.approx(90 + VIEW_DEG, abs=9)
    assert left_out == pytest.approx((1 + np.cos(np.radians(90 + VIEW_DEG))) / 2, abs=0.03)


def test_axes_around_a_front_turn_with_the_surface(any_pose) -> None:
    axes, pose = any_pose(1).rotation, any_pose(2)
    front = np.array([0.6, -0.64, 0.48])
    around = axes_around(front, axes)
    np.testing.assert_allclose(around @ around.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(around) > 0 and around[2] == pytest.approx(front)
    turned = axes_around(pose.turn(front[None])[0], pose.turn(axes))
    np.testing.assert_allclose(turned, pose.turn(around), atol=1e-12)


def test_what_is_enclosed_is_left_out_to_the_triangle() -> None:
    shell = sphere(np.zeros(3), 60.0)
    inner = [sphere(np.array([x, 0.0, 20.0]), 12.0) for x in (-25.0, 25.0)]
    whole = joined(shell, *inner)
    seen, share = outside_of(whole, FRONTAL)
    alone, without = outside_of(shell, FRONTAL)
    np.testing.assert_array_equal(seen.triangles, alone.triangles)
    extra = sum(areas(ball) for ball in inner)
    hidden = without * areas(shell) + extra
    assert share == pytest.approx(hidden / (areas(shell) + extra), rel=1e-6)


def test_an_inner_wall_is_left_out(face: Mesh) -> None:
    """A copy of the face four millimetres behind it, turned round: the inside of a hollow mask."""
    wall = replace(
        face, vertices=face.vertices - [0, 0, 4.0], triangles=np.asarray(face.triangles)[:, ::-1]
    )
    middle = face.vertices[face.landmarks[30]] - [0, 0, 20.0]
    near = np.linalg.norm(np.concatenate([face.vertices, wall.vertices]) - middle, axis=1) < 60
    seen, _ = outside_of(joined(face, wall), FRONTAL, near)
    n = len(face.vertices)
    of_wall = (seen.triangles >= n).all(1)
    inside = near[seen.triangles].all(1)
    assert (of_wall & inside).sum() < 0.06 * (inside & ~of_wall).sum()


def test_the_result_turns_with_the_mesh(face: Mesh, any_pose) -> None:
    eyes = [sphere(face.vertices[face.landmarks[i]] - [0, 0, 15.0], 9.0) for i in (37, 44)]
    whole, pose = joined(face, *eyes), any_pose(4, 0.01)
    first, _ = outside_of(whole, FRONTAL)
    moved = replace(whole, vertices=pose.apply(whole.vertices))
    second, _ = outside_of(moved, pose.turn(FRONTAL))
    np.testing.assert_array_equal(first.triangles, second.triangles)
    assert (np.asarray(first.triangles) < len(face.vertices)).all()


def test_a_prediction_of_which_nothing_is_seen_is_refused(face: Mesh) -> None:
    hidden = joined(face, sphere(face.vertices.mean(0), 400.0))
    near = np.arange(len(hidden.vertices)) < len(face.vertices)
    with pytest.raises(FacebenchError, match="nothing of the prediction is seen from outside"):
        outside_of(hidden, FRONTAL, near)


def test_parts_that_are_inside_out_are_refused(face: Mesh) -> None:
    triangles = np.asarray(face.triangles).copy()
    cheek = face.vertices[triangles].mean(1)[:, 0] > 20
    triangles[cheek] = triangles[cheek][:, ::-1]
    with pytest.raises(FacebenchError, match=r"% of the prediction's surface is inside out"):
        outside_of(replace(face, triangles=triangles), FRONTAL)


def test_the_back_of_what_lies_within_a_mask_is_not_seen_past_its_edge() -> None:
    """From above one looks over the edge of a mask at its inside, whose triangles face down."""
    ball = sphere(np.zeros(3), 60.0)
    corners = np.asarray(ball.vertices)[ball.triangles]
    face = (corners[..., 2] > -5.0).all(1) & (corners[..., 1] < 30.0).all(1)
    mask = replace(ball, triangles=np.asarray(ball.triangles)[face])
    x, z = np.meshgrid(np.linspace(-25.0, 25.0, 11), np.linspace(0.0, 40.0, 9), indexing="ij")
    plane = np.stack([x, np.full_like(x, 15.0), z], axis=-1).reshape(-1, 3)
    first = np.arange(len(plane)).reshape(x.shape)
    a, b, c, d = (
        part.ravel() for part in (first[:-1, :-1], first[1:, :-1], first[1:, 1:], first[:-1, 1:])
    )
    down = Mesh(plane, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))
    normal = np.cross(plane[b[0]] - plane[a[0]], plane[c[0]] - plane[a[0]])
    assert normal[1] < 0
    seen, _ = outside_of(joined(mask, down), FRONTAL)
    alone, _ = outside_of(mask, FRONTAL)
    assert len(seen.triangles) == len(alone.triangles)
