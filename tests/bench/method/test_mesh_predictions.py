"""Predicted faces out of files: units, three ways to give landmarks, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.bench.dataset.interface import Item
from facebench.bench.landmarks import SEVEN
from facebench.bench.method import mesh_files
from facebench.bench.method.interface import MethodOptions
from facebench.bench.method.mesh_files import MeshPredictions, read_vertices
from facebench.bench.method.registry import build_method, open_method
from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.mesh import Mesh


def item(subject: str, scene: str) -> Item:
    return Item(f"{subject}/{scene}", subject, scene, names=(f"{subject}/{scene}", subject))


def predictions(root: Path, unit: str = "mm") -> MeshPredictions:
    method = open_method(f"meshes:{root}", MethodOptions(unit=unit))
    assert isinstance(method, MeshPredictions)
    return method


def keep(root: Path, person: Mesh, name: str = "subject_01.ply", factor: float = 1.0) -> Path:
    write_mesh(Mesh(person.vertices * factor, person.triangles), root / name)
    return root


@pytest.mark.parametrize("name", ["subject_01.obj", "subject_01/indoor.ply"])
def test_a_face_is_read_in_mm(tmp_path: Path, person: Mesh, name: str) -> None:
    method = predictions(keep(tmp_path, person, name, 0.1), "cm")
    mesh = method.mesh_for(item("subject_01", "indoor"))
    np.testing.assert_allclose(mesh.vertices, person.vertices, atol=1e-4)
    np.testing.assert_array_equal(mesh.triangles, person.triangles)
    assert mesh.landmarks is None and method.landmarks_for(item("subject_01", "indoor")) is None


def test_another_unit_is_refused_with_the_one_that_fits(tmp_path: Path, person: Mesh) -> None:
    method = predictions(keep(tmp_path, person, factor=0.1))
    with pytest.raises(FacebenchError, match=r"looks like cm, not mm .*--prediction-unit cm"):
        method.mesh_for(item("subject_01", "indoor"))


def test_an_npz_carries_its_landmarks(tmp_path: Path, person: Mesh) -> None:
    arrays = {"vertices": person.vertices, "triangles": person.triangles}
    np.savez(tmp_path / "subject_01.npz", landmarks=person.landmarks, **arrays)
    mesh = predictions(tmp_path).mesh_for(item("subject_01", "outdoor"))
    np.testing.assert_array_equal(mesh.landmarks, person.landmarks)


@pytest.mark.parametrize("count", [68, 7])
def test_landmark_vertices_of_the_topology(tmp_path: Path, person: Mesh, count: int) -> None:
    vertices = person.landmarks if count == 68 else person.landmarks[SEVEN]
    np.savetxt(keep(tmp_path, person, factor=0.001) / "landmarks.txt", vertices, fmt="%d")
    method = predictions(tmp_path, "m")
    found = method.landmarks_for(item("subject_01", "indoor"))
    np.testing.assert_allclose(found.points, person.vertices[vertices], atol=1e-3)
    own = method.mesh_for(item("subject_01", "indoor")).landmarks
    assert (own is None) == (count == 7)


@pytest.mark.parametrize("count", [68, 7])
def test_landmark_points_beside_a_mesh(tmp_path: Path, person: Mesh, count: int) -> None:
    points = person.vertices[person.landmarks if count == 68 else person.landmarks[SEVEN]] / 10
    np.savetxt(keep(tmp_path, person, factor=0.1) / "subject_01.txt", points)
    found = predictions(tmp_path, "cm").landmarks_for(item("subject_01", "indoor"))
    np.testing.assert_allclose(found.points, points * 10)


def test_a_landmark_on_a_loose_vertex_is_still_a_point(tmp_path: Path, person: Mesh) -> None:
    """Cleaning drops the vertex, and with it all indices; the points stay."""
    loose = len(person.vertices)
    vertices = np.concatenate([person.vertices, person.vertices[person.landmarks[30]][None]])
    write_mesh(Mesh(vertices, person.triangles), tmp_path / "subject_01.ply")
    landmarks = np.array(person.landmarks)
    landmarks[30] = loose
    np.savetxt(tmp_path / "landmarks.txt", landmarks, fmt="%d")
    method = predictions(tmp_path)
    assert method.mesh_for(item("subject_01", "indoor")).landmarks is None
    found = method.landmarks_for(item("subject_01", "indoor")).points
    np.testing.assert_allclose(found, vertices[landmarks], atol=1e-4)


def test_what_is_not_finite_is_a_failure_and_not_left_out(tmp_path: Path, person: Mesh) -> None:
    vertices = np.array(person.vertices)
    vertices[[5, 9], 1] = np.nan
    np.savez(tmp_path / "subject_01.npz", vertices=vertices, triangles=person.triangles)
    with pytest.raises(FacebenchError, match="2 vertices are NaN or infinite"):
        predictions(tmp_path).mesh_for(item("subject_01", "indoor"))


def test_landmarks_of_another_topology(tmp_path: Path, person: Mesh) -> None:
    vertices = np.arange(68) + len(person.vertices) - 67
    np.savetxt(keep(tmp_path, person) / "landmarks.txt", vertices, fmt="%d")
    with pytest.raises(FacebenchError, match=r"names vertex 2,?\d+, the mesh has .*counted from 0"):
        predictions(tmp_path).mesh_for(item("subject_01", "indoor"))


def test_landmarks_of_a_mirrored_order_are_refused(tmp_path: Path, person: Mesh) -> None:
    points = person.vertices[person.landmarks][SEVEN[[3, 2, 1, 0, 4, 6, 5]]]
    np.savetxt(keep(tmp_path, person) / "subject_01.txt", points)
    with pytest.raises(FacebenchError, match=r"subject_01\.txt: .*mirrored"):
        predictions(tmp_path).landmarks_for(item("subject_01", "indoor"))


@pytest.mark.parametrize("count", [68, 7])
def test_landmark_vertices_in_another_order_are_refused(
    tmp_path: Path, person: Mesh, count: int
) -> None:
    vertices = person.landmarks if count == 68 else person.landmarks[SEVEN]
    np.savetxt(keep(tmp_path, person) / "landmarks.txt", vertices[::-1], fmt="%d")
    with pytest.raises(FacebenchError, match=r"not in the order of a face|mirrored face"):
        predictions(tmp_path).landmarks_for(item("subject_01", "indoor"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 2 3", "3 vertices: expected 68 or 7"),
        ("1.5 2", "not whole numbers"),
        ("2 1_000", r"not whole numbers \('1_000' is none\)"),
    ],
)
def test_a_file_of_vertices_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "landmarks.txt").write_text(text)
    with pytest.raises(FacebenchError, match=said):
        read_vertices(tmp_path / "landmarks.txt")


def test_the_digest_knows_contents_and_unit(tmp_path: Path, person: Mesh, face: Mesh) -> None:
    keep(tmp_path, person)
    first = predictions(tmp_path)
    assert first.digest == predictions(tmp_path).digest != predictions(tmp_path, "cm").digest
    keep(tmp_path, face)
    assert predictions(tmp_path).digest != first.digest
    assert first.card.name == f"meshes:{tmp_path.name}"


def test_the_name_and_the_colon(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="write meshes:DIR"):
        open_method("meshes", MethodOptions())
    with pytest.raises(FacebenchError, match="takes nothing behind a colon"):
        open_method("mean-face:x", MethodOptions())
    with pytest.raises(FacebenchError, match="did you mean 'meshes'"):
        open_method(f"mesh:{tmp_path}", MethodOptions())


def test_a_file_method_describes_no_crops(tmp_path: Path, person: Mesh) -> None:
    keep(tmp_path, person)
    with pytest.raises(FacebenchError, match="comes as files"):
        build_method(f"meshes:{tmp_path}", MethodOptions())


def test_a_folder_is_listed_once_for_all_its_landmarks(
    tmp_path: Path, person: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, listed = np.asarray(person.vertices)[person.landmarks], list[Path]()
    for number in range(5):
        keep(tmp_path, person, f"subject_{number:02}.ply")
        np.savetxt(tmp_path / f"subject_{number:02}.TXT", points)
        np.save(tmp_path / f"Subject_{number:02}.landmarks.npy", points)
    real = mesh_files.visible_in
    monkeypatch.setattr(mesh_files, "visible_in", lambda at: listed.append(at) or real(at))
    method = predictions(tmp_path)
    for number in range(5):
        found = method.landmarks_for(item(f"subject_{number:02}", "indoor"))
        np.testing.assert_allclose(found.points, points, atol=1e-4)
    assert method.digest and not method.folder.strangers
    assert len(listed) <= 2
