"""Folders of predicted faces: which file is whose, and what is said when none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.bench.method.mesh_files import MeshFolder
from facebench.errors import FacebenchError


def folder_of(root: Path, *names: str) -> MeshFolder:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return MeshFolder(root)


@pytest.mark.parametrize(
    "name",
    [
        "subject_01/indoor.obj",
        "Subject_01/INDOOR.PLY",
        "subject_01/PTZ-Indoor.npz",
        "subject_01/ptz_indoor.off",
        "subject_01.obj",
        "SUBJECT_01.glb",
    ],
)
def test_names_of_a_face(tmp_path: Path, name: str) -> None:
    assert folder_of(tmp_path, name).mesh("subject_01", "indoor").path == tmp_path / name


def test_a_scene_of_its_own_comes_before_the_one_for_all(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "subject_01.obj", "subject_01/Indoor-Cooperative.ply")
    assert folder.mesh("subject_01", "cooperative").path.name == "Indoor-Cooperative.ply"
    assert folder.mesh("subject_01", "outdoor").path.name == "subject_01.obj"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Subject1.obj"], "no mesh of subject_01: 'Subject1.obj' may be it: call it subject_01"),
        (["s001/indoor.obj"], "'s001' may be it: call it subject_01"),
        (["subject_02.obj"], "no mesh of subject_01: it holds subject_02.obj"),
        (["subject_01/indor.obj"], "for scene indoor: 'indor.obj' may be it: call it indoor.obj"),
        (["subject_01/outdoor.obj"], "for scene indoor: it holds outdoor.obj"),
        (["subject_01/indoor.obj", "subject_01/PTZ-Indoor.ply"], "2 meshes of subject_01"),
        (["subject_01.obj", "subject_01.ply"], "2 meshes of subject_01: subject_01.obj, subject_"),
    ],
)
def test_a_face_that_is_not_there(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(FacebenchError) as error:
        folder_of(tmp_path, *names).mesh("subject_01", "indoor")
    assert said in str(error.value)


def test_a_subject_of_another_number_is_never_suggested(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "subject_02.obj", "subject_11.obj")
    with pytest.raises(FacebenchError) as error:
        folder.mesh("subject_01", "indoor")
    assert "may be it" not in str(error.value)


def test_folders_without_a_mesh(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="no such folder"):
        MeshFolder(tmp_path / "none")
    with pytest.raises(FacebenchError, match=r"it holds notes\.md"):
        folder_of(tmp_path / "empty", "notes.md")
    folder_of(tmp_path / "outer" / "meshes", "subject_01/indoor.obj")
    with pytest.raises(FacebenchError, match=r"did you mean .*meshes\?"):
        MeshFolder(tmp_path / "outer")


def test_landmarks_belong_to_the_mesh_of_their_name(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        *("subject_01/indoor.obj", "subject_01/PTZ-Indoor.txt", "subject_02.ply", "subject_02.txt"),
        *("landmarks.txt", "readme.txt", ".hidden.obj", "subject_01/indoor.mtl"),
    )
    beside = folder.landmarks_of(folder.mesh("subject_01", "indoor"))
    assert beside == tmp_path / "subject_01" / "PTZ-Indoor.txt"
    assert folder.landmarks_of(folder.mesh("subject_02", "x")) == tmp_path / "subject_02.txt"
    assert folder.topology == tmp_path / "landmarks.txt"
    assert {path.name for path in folder.strangers} == {"readme.txt", "indoor.mtl"}


def test_the_digest_is_of_the_contents_under_their_meaning(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "a", "subject_01/indoor.obj", "landmarks.txt")
    second = folder_of(tmp_path / "b", "subject_01/indoor.obj", "landmarks.txt", "notes.md")
    assert first.digest() == second.digest()
    renamed = tmp_path / "b" / "subject_01" / "indoor.obj"
    renamed.rename(renamed.with_name("PTZ-Indoor.OBJ"))
    assert MeshFolder(tmp_path / "b").digest() == first.digest()
    for name in ("subject_01/indoor.obj", "landmarks.txt"):
        before = first.digest()
        (tmp_path / "a" / name).write_text("other")
        assert MeshFolder(tmp_path / "a").digest() != before
