from dataclasses import replace

import numpy as np
import pytest
import trimesh

from facebench.bench.meshes.checks import (
    CRUMB_SHARE,
    check_prediction,
    check_scan,
    faces_inwards,
    flip_triangles,
    read_mesh,
)
from facebench.bench.meshes.clean import clean_mesh
from facebench.bench.meshes.units import guess_unit
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh


@pytest.mark.parametrize("suffix", ["obj", "ply", "off"])
def test_a_file_keeps_its_vertices_in_order(person: Mesh, tmp_path, suffix: str) -> None:
    path = tmp_path / f"scan.{suffix}"
    trimesh.Trimesh(person.vertices, person.triangles, process=False).export(path)
    mesh, removed = read_mesh(path)
    np.testing.assert_allclose(mesh.vertices, person.vertices, atol=1e-4)
    np.testing.assert_array_equal(mesh.triangles, person.triangles)
    assert removed == ""


def test_what_cannot_be_measured_is_removed_and_counted(person: Mesh) -> None:
    n = len(person.vertices)
    damaged = Mesh(
        np.concatenate([person.vertices, [[np.nan, 0, 0], [1.0, 2, 3]]]),
        np.concatenate([person.triangles, [[0, 1, n], [4, 4, 5]]]),
        landmarks=person.landmarks,
    )
    clean, removed = clean_mesh(damaged)
    np.testing.assert_array_equal(clean.vertices, person.vertices)
    np.testing.assert_array_equal(clean.triangles, person.triangles)
    np.testing.assert_array_equal(clean.landmarks, person.landmarks)
    assert removed == "1 invalid vertex, 1 unreferenced vertex, 1 degenerate triangle"


def test_landmarks_follow_their_vertices(person: Mesh) -> None:
    shifted = Mesh(
        np.concatenate([[[0.0, 0, 0]], person.vertices]),
        np.asarray(person.triangles) + 1,
        np.asarray(person.landmarks) + 1,
    )
    clean, _ = clean_mesh(shifted)
    np.testing.assert_array_equal(clean.landmarks, person.landmarks)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("cm", 0.1), ("m", 0.001)])
def test_the_unit_is_told_by_size(person: Mesh, unit: str, factor: float) -> None:
    vertices = np.asarray(person.vertices) * factor
    assert guess_unit(replace(person, vertices=vertices)) == unit
    stray = np.concatenate([vertices, [[5000.0, 0, 0]]])
    assert guess_unit(replace(person, vertices=stray)) == unit


def test_a_wrongly_stated_unit_is_refused(person: Mesh, tmp_path) -> None:
    path = tmp_path / "scan.ply"
    trimesh.Trimesh(person.vertices, person.triangles, process=False).export(path)
    with pytest.raises(FacebenchError, match=r"looks like mm, not m .*--unit mm"):
        read_mesh(path, "m")
    with pytest.raises(FacebenchError, match="unknown unit 'inch'"):
        read_mesh(path, "inch")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("empty.obj", ""),
        ("garbage.obj", "no mesh at all"),
        ("short.obj", "v 0 0\nf 1 2 3\n"),
        ("missing.obj", "v 0 0 0\nv 100 0 0\nv 0 100 0\nf 1 2 9\n"),
        ("points.obj", "v 0 0 0\nv 100 0 0\nv 0 100 0\n"),
        ("nan.obj", "v nan nan nan\nv nan 0 0\nv 0 nan 0\nf 1 2 3\n"),
        ("truncated.ply", "ply\nformat binary_little_endian 1.0\nelement vertex 100\n"),
        ("unknown.xyz3", "1 2 3"),
    ],
)
def test_an_unreadable_file_is_one_line_with_its_name(tmp_path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(FacebenchError, match=name) as caught:
        read_mesh(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path) -> None:
    with pytest.raises(FacebenchError, match="no such file"):
        read_mesh(tmp_path / "none.obj")


def test_the_inside_is_told_from_the_outside(person: Mesh, scan_of, any_pose) -> None:
    for mesh in (person, scan_of(person)):
        posed = replace(mesh, vertices=any_pose(7).apply(mesh.vertices))
        assert not faces_inwards(posed)
        assert faces_inwards(flip_triangles(posed))


def grid_of(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles and places of a square of 600 mm at y = 0."""
    grid = np.arange(side * side).reshape(side, side)
    a, b, c, d = (
        part.ravel() for part in (grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:])
    )
    across, along = np.meshgrid(*[np.linspace(-300.0, 300.0, side)] * 2)
    places = np.stack([across, np.zeros_like(across), along], axis=-1).reshape(-1, 3)
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)]), places


def test_a_table_of_more_triangles_than_the_face_turns_nothing(person: Mesh) -> None:
    """Its volume is nothing but rounding, of either sign."""
    table, floor = grid_of(120)
    for height in (-150.0, -151.7):
        places = floor + np.array([0.0, height, 0.0])
        for corners in (table, table[:, ::-1]):
            scene = Mesh(
                np.concatenate([person.vertices, places]),
                np.concatenate([person.triangles, corners + len(person.vertices)]),
            )
            assert not faces_inwards(scene)
            turned = np.concatenate([person.triangles[:, ::-1], scene.triangles[-len(table) :]])
            assert faces_inwards(replace(scene, triangles=turned))


def test_a_floor_and_wall_around_a_face_do_not_turn_it(person: Mesh) -> None:
    """One surface whose outside is the room's inside, of more triangles than the face."""
    corners, places = grid_of(120)
    # Bent up behind the face, along the middle.
    behind = places[:, 2] < 0
    places = np.where(behind[:, None], places[:, [0, 2, 1]] * [1.0, -1.0, 1.0], places)
    room = Mesh(places + np.array([0.0, -160.0, -150.0]), corners)
    up = np.cross(*(room.vertices[corners[-1, k]] - room.vertices[corners[-1, 0]] for k in (1, 2)))
    inside = corners if up[1] > 0 else corners[:, ::-1]
    scene = Mesh(
        np.concatenate([person.vertices, room.vertices]),
        np.concatenate([person.triangles, inside + len(person.vertices)]),
    )
    with pytest.raises(FacebenchError, match="faces inwards, another one of"):
        check_scan(scene)
    assert not faces_inwards(check_scan(flip_triangles(person)))


def test_an_eyeball_says_nothing_of_the_face_around_it(person: Mesh) -> None:
    corners, places = grid_of(20)
    along, across = (2.0 * np.pi * places[:, k] / 600.0 for k in (0, 2))
    ball = 12.0 * np.stack(
        [
            np.cos(across / 2) * np.cos(along),
            np.cos(across / 2) * np.sin(along),
            np.sin(across / 2),
        ],
        axis=1,
    )
    eye = Mesh(ball + person.vertices.mean(0), corners)
    inside_out = flip_triangles(person)
    for eyeball in (eye, flip_triangles(eye)):
        scene = Mesh(
            np.concatenate([inside_out.vertices, eyeball.vertices]),
            np.concatenate([inside_out.triangles, eyeball.triangles + len(person.vertices)]),
        )
        assert len(eyeball.triangles) > CRUMB_SHARE * len(scene.triangles)
        assert not faces_inwards(check_scan(scene))


@pytest.mark.parametrize("corner", [-1, 4, 0.5])
def test_a_corner_that_is_no_vertex_is_refused(corner: float) -> None:
    """NumPy counts -1, which pads triangles, from the end."""
    vertices = np.array([[0.0, 0, 0], [9, 0, 0], [0, 9, 0], [9, 9, 0]])
    mesh = Mesh(vertices, np.array([[0, 1, 2], [1, 3, corner]]))
    with pytest.raises(FacebenchError, match="corner"):
        clean_mesh(mesh)
    with pytest.raises(FacebenchError, match="corner"):
        check_prediction(mesh)
    with pytest.raises(FacebenchError, match=r"expected arrays \(V, 3\)"):
        clean_mesh(Mesh(vertices.T, np.array([[0, 1, 2]])))
