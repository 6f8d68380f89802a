import itertools
from pathlib import Path

import numpy as np
import pytest

from facebench.bench.landmarks import (
    MEAN_SEVEN_MM,
    ORDER_MM,
    SEVEN,
    Landmarks,
    landmark_pairs,
    misfit_mm,
    read_landmarks,
)
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh


@pytest.fixture(scope="module")
def points(person: Mesh) -> np.ndarray:
    return person.vertices[person.landmarks]


def write(path: Path, points: np.ndarray) -> Path:
    path.write_text("".join(f"{x!r} {y!r} {z!r}\n" for x, y, z in points.tolist()))
    return path


def test_a_file_gives_its_points_back(points: np.ndarray, tmp_path: Path) -> None:
    found = read_landmarks(write(tmp_path / "l.txt", points))
    np.testing.assert_array_equal(found.points, points)
    np.testing.assert_array_equal(found.seven, points[[36, 39, 42, 45, 33, 48, 54]])
    seven = read_landmarks(write(tmp_path / "seven.txt", points[SEVEN]))
    np.testing.assert_array_equal(seven.seven, found.seven)


def test_commas_comments_and_empty_lines(points: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    lines = [f"{x!r}, {y!r},{z!r}" for x, y, z in points[SEVEN].tolist()]
    path.write_text("# the seven\n\n" + "\n".join(lines) + "\n\n")
    np.testing.assert_array_equal(read_landmarks(path).points, points[SEVEN])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n4 5 6\n", "2 landmarks: expected one 'x y z' a line: 68"),
        ("1 2\n" * 7, "line 1: '1 2' is not three numbers"),
        ("1 2 z\n" * 7, "line 1: '1 2 z' is not three numbers"),
        ("1 2 nan\n" * 7, "landmark 1 is not finite"),
        ("1 2 3\n" * 7, "not in the order of a face"),
        ("", "0 landmarks"),
    ],
)
def test_a_bad_file_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(FacebenchError, match=message) as caught:
        read_landmarks(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="cannot be read as landmarks"):
        read_landmarks(tmp_path / "none.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FacebenchError, match="cannot be read as landmarks"):
        read_landmarks(tmp_path / "b.txt")


def test_another_number_of_points() -> None:
    with pytest.raises(FacebenchError, match=r"shape \(51, 3\)"):
        Landmarks(np.zeros((51, 3)))


def test_any_pose_and_unit_is_a_face(points: np.ndarray, any_pose) -> None:
    for seed, scale in enumerate((1.0, 0.001, 100.0)):
        moved = any_pose(seed, scale).apply(points)
        assert misfit_mm(moved[SEVEN]) == pytest.approx(misfit_mm(points[SEVEN]), rel=1e-6)
        Landmarks(moved).in_order()


def test_every_wrong_order_of_the_seven_is_refused(points: np.ndarray) -> None:
    seven = points[SEVEN]
    misfits = [misfit_mm(seven[list(order)]) for order in itertools.permutations(range(7))]
    assert misfits[0] < 5
    assert min(misfits[1:]) > ORDER_MM + 1


def test_left_and_right_exchanged_is_named(points: np.ndarray) -> None:
    for exchanged in (points[SEVEN][[3, 2, 1, 0, 4, 6, 5]], points * [-1, 1, 1]):
        with pytest.raises(FacebenchError, match="left and right are exchanged"):
            Landmarks(exchanged).in_order()
    for shuffled in (points[::-1], np.roll(points, 1, axis=0)):
        with pytest.raises(FacebenchError, match="not in the order"):
            Landmarks(shuffled).in_order()


def test_landmarks_of_a_topology_are_in_order_however_the_face_is_distorted(face: Mesh) -> None:
    crushed = Mesh(face.vertices * [1, 0.3, 1], face.triangles, face.landmarks)
    own = Landmarks.of_mesh(crushed)
    assert own is not None
    with pytest.raises(FacebenchError, match="not in the order"):
        Landmarks(own.points).in_order()


def test_faces_of_the_ict_model_are_never_refused(shared) -> None:
    data = np.load(shared / "ict-facekit" / "ict_facekit_light.npz")
    at = data["landmarks"][SEVEN]
    rng = np.random.default_rng(0)
    shapes = data["identity_basis"][at].astype(float) @ rng.standard_normal((100, 300))
    basis = data["expression_basis"][at].astype(float)
    expressions = basis @ rng.uniform(0, 0.5, (basis.shape[2], 300))
    faces = data["mean_shape"][at].astype(float)[..., None] + shapes + expressions
    assert max(misfit_mm(faces[..., k]) for k in range(300)) < ORDER_MM - 1


def test_pairs_are_of_points_with_one_meaning(face: Mesh, points: np.ndarray) -> None:
    full, seven = Landmarks(points), Landmarks(points[SEVEN])
    own = Landmarks.of_mesh(face)
    assert own is not None
    first, second = landmark_pairs(own, full)
    assert len(first) == 51
    np.testing.assert_array_equal(second, points[17:])
    first, second = landmark_pairs(own, seven)
    np.testing.assert_array_equal(first, own.seven)
    np.testing.assert_array_equal(second, seven.points)
    assert Landmarks.of_mesh(Mesh(face.vertices, face.triangles)) is None


def test_landmarks_of_a_mesh_are_its_vertices(face: Mesh) -> None:
    own = Landmarks.of_mesh(face)
    assert own is not None
    np.testing.assert_array_equal(own.nearest_vertices(face), face.landmarks)
    assert Landmarks(own.seven).nearest_vertices(face) is None


def test_the_mean_seven_is_symmetric() -> None:
    mirrored = MEAN_SEVEN_MM[[3, 2, 1, 0, 4, 6, 5]] * [-1, 1, 1]
    np.testing.assert_array_equal(mirrored, MEAN_SEVEN_MM)
