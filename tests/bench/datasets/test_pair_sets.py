"""Which files of two folders belong together, and what is said of those that do not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from pair_files import points_of, write_now_prediction, write_now_scan, write_side

from facebench.bench.dataset.interface import Dataset
from facebench.bench.dataset.registry import open_dataset
from facebench.bench.datasets.now import is_now_folder
from facebench.bench.landmarks import SEVEN, read_landmark_file
from facebench.bench.method.interface import MethodOptions
from facebench.bench.method.mesh_files import MeshPredictions
from facebench.bench.method.registry import open_method
from facebench.distributed.plan import RunRequest, prepare
from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.procedural import procedural_model


@pytest.fixture(scope="module")
def face() -> Mesh:
    return procedural_model(0, 2000).mesh()


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    return root


def pairs(
    predictions: Path, scans: Path, dataset: str = "pairs"
) -> tuple[Dataset, MeshPredictions]:
    """A set, and the faces that are held to it."""
    method = open_method(f"meshes:{predictions}", MethodOptions())
    assert isinstance(method, MeshPredictions)
    return open_dataset(dataset, scans, predictions=method.names), method


def test_equal_paths_are_pairs_whatever_the_format(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "a.obj", "a.txt", "deep/b.ply", ".hidden/c.obj", "notes.md")
    theirs = touch(tmp_path / "theirs", "a.ply", "deep/b.npz", "deep/b.npy")
    found, method = pairs(ours, theirs)
    first, second = found.items
    assert (first.id, first.scans[0].path) == ("a", theirs / "a.ply")
    assert method.files_for(first) == (ours / "a.obj", ours / "a.txt")
    assert first.scans[0].landmarks is None
    assert (second.id, second.scans[0].landmarks) == ("deep/b", theirs / "deep/b.npy")
    assert not (first.scan_reason or second.scan_reason)


def test_a_file_name_that_is_there_once_is_enough(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "s1/a.obj", "s1/b.obj", "s2/b.obj")
    theirs = touch(tmp_path / "theirs", "x/a.obj", "x/b.obj")
    found, method = pairs(ours, theirs)
    reasons = {item.id: item.scan_reason for item in found.items}
    assert reasons == {"s1/a": "", "s1/b": "no scan of it", "s2/b": "no scan of it", "x/b": ""}
    assert [bool(method.files_for(item)) for item in found.items] == [True, True, True, False]


def test_a_name_that_is_no_utf8_costs_no_other_its_number(tmp_path: Path) -> None:
    latin = os.fsdecode(b"caf\xe9")
    ours = touch(tmp_path / "ours", "anna.obj", f"{latin}.obj")
    theirs = touch(tmp_path / "theirs", "anna.ply", f"{latin}.ply")
    found, method = pairs(ours, theirs)
    assert [item.id for item in found.items] == ["anna"] and found.digest and method.digest
    (problem,) = found.problems
    assert problem.where == r"caf\udce9" and "no UTF-8" in problem.reason
    (theirs / "anna.ply").unlink()
    (ours / "anna.obj").unlink()
    with pytest.raises(FacebenchError, match="no UTF-8"):
        pairs(ours, theirs)


def test_a_folder_that_no_record_can_name_is_refused_at_once(tmp_path: Path) -> None:
    latin = tmp_path / os.fsdecode(b"caf\xe9")
    for request in (RunRequest(latin), RunRequest(tmp_path, method=f"meshes:{latin}")):
        with pytest.raises(FacebenchError, match="no UTF-8, which the record"):
            prepare(request)


def test_what_is_left_over_is_not_paired(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "anna/mesh.obj", "ben/mesh.obj")
    theirs = touch(tmp_path / "theirs", "anna/mesh.ply", "carl/mesh.ply")
    found, _ = pairs(ours, theirs)
    reasons = {item.id: item.scan_reason for item in found.items}
    assert reasons == {"anna/mesh": "", "ben/mesh": "no scan of it", "carl/mesh": ""}
    assert not found.problems


def test_pairs_of_other_folders_are_told(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "ben/mesh.obj", "x_1/anna.obj")
    theirs = touch(tmp_path / "theirs", "carl/mesh.ply", "X-1/anna.ply")
    found, _ = pairs(ours, theirs)
    assert [bool(item.scans) for item in found.items] == [True, True]
    (problem,) = found.problems
    assert problem.reason.endswith("paired by the file's name: ben/mesh on carl/mesh")


def test_a_folder_of_one_mesh_is_called_like_the_other_side(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "Anna/face.obj", "ben/face.obj", "two/a.obj", "two/b.obj")
    theirs = touch(tmp_path / "theirs", "anna.ply", "ben.ply", "two.ply", "carl/scan.ply")
    found, _ = pairs(ours, theirs)
    scans = {item.id: item.scans[0].path.name for item in found.items if item.scans}
    assert scans == {
        "Anna/face": "anna.ply",
        "ben/face": "ben.ply",
        "two": "two.ply",
        "carl/scan": "scan.ply",
    }
    assert [one.id for one in found.items if one.scan_reason] == ["two/a", "two/b"]
    back, _ = pairs(theirs, ours)
    assert {one.id for one in back.items if one.scans} >= {"anna", "ben"}


def test_lines_between_words_are_one_name(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "anna_1.obj", "ben 2.obj")
    theirs = touch(tmp_path / "theirs", "anna-1.ply", "ben_2.ply")
    found, method = pairs(ours, theirs)
    assert [item.id for item in found.items] == ["anna_1", "ben 2"]
    assert all(item.scans and method.files_for(item) for item in found.items)


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_two_files_of_landmarks_are_no_choice_unless_equal(
    tmp_path: Path, face: Mesh, side: str
) -> None:
    for name in ("ours", "theirs"):
        write_side(face, tmp_path / name / "a.obj")
    points = points_of(face)
    np.savetxt(tmp_path / side / "a.TXT", points, fmt="%.4f")
    np.save(tmp_path / side / "a.npy", points.astype(np.float32))

    def reason() -> str:
        found, method = pairs(tmp_path / "ours", tmp_path / "theirs")
        (item,) = found.items
        try:
            assert (method.landmarks_for(item) is not None) == (side == "ours")
        except FacebenchError as error:
            return error.message
        assert item.scan_reason or (item.scans[0].landmarks is not None) == (side == "theirs")
        return item.scan_reason

    assert not reason()
    np.save(tmp_path / side / "a.npy", np.arange(100))  # no landmarks: somebody's codes
    assert not reason()
    np.save(tmp_path / side / "a.npy", points[SEVEN])
    assert not reason()
    np.save(tmp_path / side / "a.npy", points + 5.0)
    assert reason().startswith("2 candidates for the landmarks: a.")


def test_case_and_accents_of_two_systems_are_the_same(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "M\u00fcller.obj", "Anna.obj", "x/Zoë.obj", "a.obj", "A.obj")
    theirs = touch(tmp_path / "theirs", "Mu\u0308ller.ply", "anna.ply", "y/zoë .ply", "a.ply")
    found, _ = pairs(ours, theirs, "pairs")
    scans = {item.id: item.scans[0].path.name for item in found.items if item.scans}
    assert scans == {
        "M\u00fcller": "Mu\u0308ller.ply",
        "Anna": "anna.ply",
        "x/Zoë": "zoë .ply",
        "a": "a.ply",
    }
    assert [item.id for item in found.items if item.scan_reason] == ["A"]


def test_two_files_of_one_name_are_no_choice(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "a.obj", "a.ply")
    theirs = touch(tmp_path / "theirs", "a.obj", "b.obj", "b.ply")
    found, method = pairs(ours, theirs)
    with pytest.raises(FacebenchError, match=r"2 candidates for the prediction: a\.obj, a\.ply"):
        method.mesh_for(found.items[0])
    assert found.items[1].scan_reason == "2 candidates for the scan: b.obj, b.ply"


def test_one_face_in_several_formats_is_one(tmp_path: Path, face: Mesh) -> None:
    """As `reconstruct` and others write it: OBJ, PLY and, in metres, GLB."""
    for ending in (".glb", ".ply", ".obj"):
        write_mesh(face, tmp_path / f"ours/a{ending}")
    write_mesh(face, tmp_path / "theirs/a.ply")
    np.savez(tmp_path / "theirs/a.npz", vertices=face.vertices, triangles=face.triangles)
    write_mesh(face, tmp_path / "theirs/b.glb")
    np.savez(tmp_path / "theirs/b.npz", vertices=face.vertices, triangles=face.triangles)
    found, method = pairs(tmp_path / "ours", tmp_path / "theirs")
    item, other = found.items
    assert method.folder.find(item).name == "a.obj" and item.scans[0].path.name == "a.ply"
    assert other.scans[0].path.name == "b.npz"
    vertices = np.array(face.vertices)
    vertices[7] += 0.1
    write_mesh(Mesh(vertices, face.triangles), tmp_path / "ours/a.ply")
    _, method = pairs(tmp_path / "ours", tmp_path / "theirs")
    with pytest.raises(FacebenchError, match="3 candidates for the prediction"):
        method.folder.find(item)


@pytest.mark.parametrize("label", ["a.landmarks.txt", "a.LANDMARKS.TXT"])
def test_landmarks_may_be_called_so(tmp_path: Path, face: Mesh, label: str) -> None:
    for name in ("ours", "theirs"):
        write_side(face, tmp_path / name / "a.obj")
        np.savetxt(tmp_path / name / label, points_of(face))
    found, method = pairs(tmp_path / "ours", tmp_path / "theirs")
    assert found.items[0].scans[0].landmarks == tmp_path / "theirs" / label
    assert method.landmarks_for(found.items[0]) is not None
    assert method.files_for(found.items[0])[1].name == label


def test_a_folder_of_faces_in_two_formats_is_told_as_that(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "a.obj", "a.ply")
    theirs = touch(tmp_path / "theirs", "a.ply")
    with pytest.raises(FacebenchError, match=r"2 candidates for the prediction: a\.obj, a\.ply"):
        prepare(RunRequest(theirs, f"meshes:{ours}", dataset="pairs"))


def test_a_prediction_in_two_formats_is_told_without_regard_to_capitals(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "Anna B.obj", "Anna B.ply")
    theirs = touch(tmp_path / "theirs", "anna_b.ply")
    with pytest.raises(FacebenchError, match="2 candidates for the prediction"):
        prepare(RunRequest(theirs, f"meshes:{ours}", dataset="pairs"))


def test_one_file_under_two_names_is_told(tmp_path: Path, face: Mesh) -> None:
    other = Mesh(face.vertices * 1.01, face.triangles)
    for name, scan, prediction in (("a", face, other), ("b", face, face), ("c", other, other)):
        write_side(scan, tmp_path / f"theirs/{name}.ply")
        write_side(prediction, tmp_path / f"ours/{name}.obj")
    for side in ("ours", "theirs"):
        write_side(Mesh(face.vertices * 0.99, face.triangles), tmp_path / f"{side}/d.ply")
    touch(tmp_path / "theirs", "d.wrl", "e.usdc", "f.obj.gz")
    request = RunRequest(tmp_path / "theirs", f"meshes:{tmp_path / 'ours'}", dataset="pairs")
    problems = [(one.where, one.reason) for one in prepare(request).problems()]
    assert problems == [
        ("scans", "of formats that are not read: d.wrl, e.usdc, f.obj.gz"),
        ("scans", "one file, by its contents, for a, b"),
        ("predictions", "one file, by its contents, for a, c"),
        ("predictions", "the file of the scan itself, for d"),
    ]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    touch(tmp_path / "ours", "a.obj")
    touch(tmp_path / "empty", "readme.md")
    with pytest.raises(FacebenchError, match="no such folder: expected PREDICTIONS"):
        pairs(tmp_path / "ours", tmp_path / "none")
    with pytest.raises(FacebenchError, match="no mesh in it"):
        pairs(tmp_path / "ours", tmp_path / "empty")


def test_a_digest_is_of_contents(tmp_path: Path) -> None:
    ours, theirs = touch(tmp_path / "ours", "a.obj"), touch(tmp_path / "theirs", "a.obj")
    before = pairs(ours, theirs)[0].digest
    os.utime(theirs / "a.obj", ns=(1, 1))
    assert pairs(ours, theirs)[0].digest == before
    (theirs / "a.obj").write_text("y")
    os.utime(theirs / "a.obj", ns=(1, 1))
    assert pairs(ours, theirs)[0].digest != before


@pytest.fixture
def now(tmp_path: Path, face: Mesh) -> tuple[Path, Path]:
    """A set of two subjects and predictions of it."""
    predictions, dataset = tmp_path / "predictions", tmp_path / "NoW_Dataset"
    for subject in ("FaMoS_1", "FaMoS_2"):
        write_now_scan(dataset, subject, face, points_of(face))
        write_now_prediction(predictions, f"{subject}/selfie/IMG_1", face, points_of(face))
    lines = ["FaMoS_2/selfie/IMG_1.jpg", "FaMoS_1/selfie/IMG_1.jpg", ""]
    (dataset / "imagepathsvalidation.txt").write_text("\n".join(lines))
    return predictions, dataset


def test_now_pairs_images_with_their_subject_s_scan(now: tuple[Path, Path], face: Mesh) -> None:
    predictions, dataset = now
    assert is_now_folder(dataset) and not is_now_folder(predictions)
    found, method = pairs(predictions, dataset, "now")
    names = [(item.id, item.subject, item.scene, item.scan_reason) for item in found.items]
    assert names == [
        ("FaMoS_1/selfie/IMG_1", "FaMoS_1", "selfie", ""),
        ("FaMoS_2/selfie/IMG_1", "FaMoS_2", "selfie", ""),
    ]
    item = found.items[1]
    mesh, marks = method.files_for(item)
    assert mesh == predictions / "FaMoS_2/selfie/IMG_1.obj"
    (scan,) = item.scans
    assert scan.path.parent == dataset / "scans/FaMoS_2" and scan.landmarks is not None
    for path in (scan.landmarks, marks):
        points = read_landmark_file(path).points
        np.testing.assert_allclose(points, points_of(face)[SEVEN], atol=1e-6)


def test_an_image_without_prediction_or_landmarks_is_an_item(now: tuple[Path, Path]) -> None:
    predictions, dataset = now
    (predictions / "FaMoS_1/selfie/IMG_1.obj").unlink()
    (dataset / "scans_lmks_onlypp/FaMoS_2").rename(dataset / "scans_lmks_onlypp/other")
    found, method = pairs(predictions, dataset, "now")
    assert [item.scan_reason for item in found.items] == ["", "no landmarks of the scan"]
    assert method.files_for(found.items[0]) == ()


def test_without_a_list_predictions_are_the_images(now: tuple[Path, Path], face: Mesh) -> None:
    predictions, dataset = now
    (dataset / "imagepathsvalidation.txt").unlink()
    write_side(face, predictions / "FaMoS_1/multiview_neutral/IMG_7.ply")
    write_side(face, predictions / "readme.ply")
    found, _ = pairs(predictions, dataset, "now")
    assert [item.id for item in found.items] == [
        "FaMoS_1/multiview_neutral/IMG_7",
        "FaMoS_1/selfie/IMG_1",
        "FaMoS_2/selfie/IMG_1",
    ]
    assert found.table_scenes == ("all", "multiview_neutral", "selfie")


def test_a_list_of_windows_is_read(now: tuple[Path, Path]) -> None:
    predictions, dataset = now
    path = dataset / "imagepathsvalidation.txt"
    path.write_text(
        'D:\\NoW set\\FaMoS_1\\selfie\\IMG_1.jpg\n"FaMoS_2\\selfie\\IMG_1.jpg"\n', "utf-16"
    )
    found, _ = pairs(predictions, dataset, "now")
    assert [item.scan_reason for item in found.items] == ["", ""]
    assert {item.subject for item in found.items} == {"FaMoS_1", "FaMoS_2"}


def test_a_strange_list_is_refused(now: tuple[Path, Path]) -> None:
    predictions, dataset = now
    for line in ("../../IMG_1.jpg", "IMG_1.jpg"):
        (dataset / "imagepathsvalidation.txt").write_text(line)
        with pytest.raises(FacebenchError, match=r"imagepathsvalidation\.txt.*SUBJECT/CHALLENGE"):
            pairs(predictions, dataset, "now")


def test_predictions_of_something_else_are_refused(now: tuple[Path, Path], tmp_path: Path) -> None:
    other = touch(tmp_path / "other", "a.obj")
    with pytest.raises(FacebenchError, match="no prediction of any of 2 items"):
        prepare(RunRequest(now[1], f"meshes:{other}", dataset="now", protocol="now"))


def test_what_a_system_lays_beside_and_writes_large(now: tuple[Path, Path]) -> None:
    predictions, dataset = now
    scan = next((dataset / "scans/FaMoS_1").iterdir())
    (scan.parent / f"._{scan.name}").write_bytes(b"\0\5\x16\7")
    scan.rename(scan.with_suffix(".OBJ"))
    points = next((dataset / "scans_lmks_onlypp/FaMoS_2").iterdir())
    (points.parent / f"._{points.name}").write_bytes(b"\0\5\x16\7")
    points.rename(points.with_suffix(".PP"))
    found, _ = pairs(predictions, dataset, "now")
    assert [item.scan_reason for item in found.items] == ["", ""]


def test_two_photographs_of_one_name_are_refused(now: tuple[Path, Path]) -> None:
    predictions, dataset = now
    line = "FaMoS_1/selfie/IMG_1"
    (dataset / "imagepathsvalidation.txt").write_text(f"{line}.jpg\n{line}.png\n{line}.jpg\n")
    with pytest.raises(FacebenchError, match=r"IMG_1\.jpg and IMG_1\.png have one name"):
        pairs(predictions, dataset, "now")
