"""Every format is read alike, and every fault of a file is one line that says what to do."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh

from facebench.bench.meshes.checks import read_mesh
from facebench.bench.meshes.clean import clean_mesh
from facebench.bench.meshes.files import FORMATS, check_size, load_mesh
from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import write_glb, write_ply
from facebench.recon.mesh import Mesh


def write(mesh: Mesh, path: Path) -> Path:
    if path.suffix == ".npz":
        np.savez(path, vertices=mesh.vertices, triangles=mesh.triangles, landmarks=mesh.landmarks)
    else:
        trimesh.Trimesh(mesh.vertices, mesh.triangles, process=False).export(path)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_surface(person: Mesh, tmp_path: Path, suffix: str) -> None:
    found = load_mesh(write(person, tmp_path / f"face{suffix}"))
    corners = np.asarray(person.vertices)[person.triangles]
    np.testing.assert_allclose(found.vertices[found.triangles], corners, atol=1e-4)


def test_an_npz_carries_its_landmarks(person: Mesh, tmp_path: Path) -> None:
    found, _ = read_mesh(write(person, tmp_path / "face.npz"))
    np.testing.assert_array_equal(found.landmarks, person.landmarks)


def test_the_ending_may_be_in_capitals(person: Mesh, tmp_path: Path) -> None:
    assert len(
        load_mesh(write(person, tmp_path / "face.obj").rename(tmp_path / "FACE.OBJ")).vertices
    )


def empty(path: Path, face: Mesh) -> None:
    path.touch()


def photograph(path: Path, face: Mesh) -> None:
    path.write_bytes(b"\xff\xd8\xff\xe0")


def ply_content(path: Path, face: Mesh) -> None:
    write_ply(face, path.with_suffix(".ply"))
    path.with_suffix(".ply").rename(path)


def half_a_file(path: Path, face: Mesh) -> None:
    write_ply(face, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def two_numbers(path: Path, face: Mesh) -> None:
    path.write_text("v 0 0\n")


def half_a_glb(path: Path, face: Mesh) -> None:
    write_glb(face, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def half_an_npz(path: Path, face: Mesh) -> None:
    write(face, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def points(path: Path, face: Mesh) -> None:
    trimesh.PointCloud(face.vertices).export(path)


def pickled(path: Path, face: Mesh) -> None:
    np.savez(path, vertices=np.array([face, None]), triangles=face.triangles)


def other_arrays(path: Path, face: Mesh) -> None:
    np.savez(path, points=face.vertices, triangles=face.triangles)


def flat_arrays(path: Path, face: Mesh) -> None:
    np.savez(path, vertices=np.ravel(face.vertices), triangles=face.triangles)


def strange_landmarks(path: Path, face: Mesh) -> None:
    marks = np.full(68, len(face.vertices))
    np.savez(path, vertices=face.vertices, triangles=face.triangles, landmarks=marks)


def index_out_of_range(path: Path, face: Mesh) -> None:
    np.savez(path, vertices=face.vertices, triangles=np.asarray(face.triangles) + 1)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("scan.obj", empty, "the file is empty: write or copy it again"),
        ("scan.jpg", photograph, r"no mesh format '.jpg': known: .obj, .ply"),
        ("scan.obj", ply_content, "its content is PLY: name it .ply"),
        ("scan.ply", half_a_file, r"cannot be read as a mesh .*: copy it again"),
        ("scan.obj", two_numbers, "cannot be read as a mesh"),
        ("scan.glb", half_a_glb, r"cannot be read as a mesh .*: copy it again"),
        ("scan.npz", half_an_npz, "not a whole .npz file"),
        ("scan.ply", points, r"points and no triangles: distances need a surface"),
        ("scan.npz", pickled, "holds pickled objects: save plain arrays"),
        ("scan.npz", other_arrays, "no array 'vertices': expected vertices, triangles"),
        ("scan.npz", flat_arrays, r"expected numbers \(N, 3\)"),
        ("scan.npz", strange_landmarks, r"'landmarks' is not \(68,\) vertices"),
        ("scan.npz", index_out_of_range, "names a vertex that does not exist"),
    ],
)
def test_a_fault_is_one_line_with_what_to_do(
    person: Mesh, tmp_path: Path, name: str, make: Callable[[Path, Mesh], None], words: str
) -> None:
    path = tmp_path / name
    make(path, person)
    with pytest.raises(FacebenchError, match=words) as caught:
        load_mesh(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_answered_with_the_nearest_name(person: Mesh, tmp_path: Path) -> None:
    write(person, tmp_path / "subject_07.obj")
    with pytest.raises(FacebenchError, match=r"no such file: did you mean .*subject_07\.obj"):
        load_mesh(tmp_path / "subjekt_07.obj")
    with pytest.raises(FacebenchError, match=r"there is no folder"):
        load_mesh(tmp_path / "nowhere" / "a.obj")


def ten_million_ply(path: Path) -> None:
    path.write_bytes(
        b"ply\nformat binary_little_endian 1.0\ncomment made by a scanner\n"
        b"element vertex 10000000\nproperty float x\nproperty float y\nproperty float z\n"
        b"end_header\n"
    )


def ten_million_off(path: Path) -> None:
    path.write_text("OFF\n# scanner\n10000000 20000000 0\n")


def ten_million_stl(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"\0" * 80 + (20_000_000).to_bytes(4, "little"))
        file.truncate(84 + 50 * 20_000_000)


def ten_million_npz(path: Path) -> None:
    points = np.broadcast_to(np.float32(1), (10_000_000, 3))
    np.savez_compressed(path, vertices=points, triangles=np.zeros((1, 3), int))


def ten_million_obj(path: Path) -> None:
    path.write_bytes(b"v 0 0 0\n" * 10_000_000)


def huge_glb(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"glTF")
        file.truncate(2**30)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("scan.ply", ten_million_ply),
        ("scan.off", ten_million_off),
        ("scan.stl", ten_million_stl),
        ("scan.npz", ten_million_npz),
        ("scan.obj", ten_million_obj),
        ("scan.glb", huge_glb),
    ],
)
def test_ten_million_points_are_refused_unread(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    path = tmp_path / name
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(FacebenchError, match=r"more than .*: thin it"):
            load_mesh(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 100 * 2**20


@pytest.mark.parametrize("block", [4096, 5000, 2**24])
def test_vertices_are_counted_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    path = tmp_path / "scan.obj"
    path.write_bytes(b"v 1 2 3\nvn 1 0 0\nvt 1 0\n" * 4000)
    monkeypatch.setattr("facebench.bench.meshes.files._BLOCK_BYTES", block)
    monkeypatch.setattr("facebench.bench.meshes.files.MAX_VERTICES", 3999)
    monkeypatch.setattr("facebench.bench.meshes.files._LEAST_VERTEX_BYTES", 0)
    with pytest.raises(FacebenchError, match="4,000 vertices"):
        check_size(path)


def test_triangles_given_twice_count_once(person: Mesh) -> None:
    triangles = np.asarray(person.triangles)
    twice = Mesh(
        person.vertices, np.concatenate([triangles, triangles[:50, [1, 2, 0]], triangles[:7, ::-1]])
    )
    clean, removed = clean_mesh(twice)
    np.testing.assert_array_equal(clean.triangles, triangles)
    assert removed == "57 duplicate triangles"
