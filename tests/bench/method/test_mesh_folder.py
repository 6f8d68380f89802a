"""Folders of predicted faces: which file is whose, and what is said when none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.bench.dataset.interface import Item
from facebench.bench.datasets.micc import VIDEO_OF_SCENE
from facebench.bench.method.mesh_files import MeshFolder
from facebench.errors import FacebenchError


def item(scene: str) -> Item:
    """An item of MICC's layout."""
    names = f"subject_01/{scene}", f"subject_01/{VIDEO_OF_SCENE[scene]}", "subject_01"
    return Item(f"subject_01/{scene}", "subject_01", scene, names=names)


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
    assert folder_of(tmp_path, name).find(item("indoor")) == tmp_path / name


def test_a_scene_of_its_own_comes_before_the_one_for_all(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "subject_01.obj", "subject_01/Indoor-Cooperative.ply")
    assert folder.find(item("cooperative")).name == "Indoor-Cooperative.ply"
    assert folder.find(item("outdoor")).name == "subject_01.obj"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Subject1.obj"], "'Subject1.obj' may be it: call it subject_01/indoor.obj"),
        (["s001/indoor.obj"], "'s001/indoor.obj' may be it: call it subject_01/indoor.obj"),
        (["subject_02.obj"], "no prediction of subject_01/indoor: it holds subject_02"),
        (["b.obj", "subject_01/indoor.gltf"], "'subject_01/indoor.gltf' is of a format that is"),
        (["subject_01/indor.obj"], "'subject_01/indor.obj' may be it: call it subject_01/indoor"),
        (["subject_01/outdoor.obj"], "subject_01/indoor: it holds subject_01/outdoor"),
        (["subject_01/indoor.obj", "subject_01/PTZ-Indoor.ply"], "2 candidates for the prediction"),
        (["subject_01.obj", "subject_01.ply"], "2 candidates for the prediction: subject_01.obj"),
    ],
)
def test_a_face_that_is_not_there(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(FacebenchError) as error:
        folder_of(tmp_path, *names).find(item("indoor"))
    assert said in str(error.value)


def test_a_subject_of_another_number_is_never_suggested(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "subject_02.obj", "subject_11.obj")
    with pytest.raises(FacebenchError) as error:
        folder.find(item("indoor"))
    assert "may be it" not in str(error.value)


def test_folders_without_a_mesh(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="no such folder"):
        MeshFolder(tmp_path / "none")
    with pytest.raises(FacebenchError, match=r"it holds notes\.md"):
        folder_of(tmp_path / "empty", "notes.md")


def test_landmarks_belong_to_the_mesh_of_their_name(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        *("subject_01/indoor.obj", "subject_01/Indoor.TXT", "subject_02.ply", "subject_02.txt"),
        *("landmarks.txt", "readme.txt", ".hidden.obj", "subject_01/indoor.mtl"),
    )
    beside = folder.landmarks_of(folder.find(item("indoor")))
    assert beside == tmp_path / "subject_01" / "Indoor.TXT"
    assert folder.landmarks_of(tmp_path / "subject_02.ply") == tmp_path / "subject_02.txt"
    assert folder.topology == tmp_path / "landmarks.txt"
    assert {path.name for path in folder.strangers} == {"readme.txt", "indoor.mtl"}


def test_the_digest_is_of_the_contents_under_their_meaning(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "a", "subject_01/indoor.obj", "landmarks.txt")
    second = folder_of(tmp_path / "b", "subject_01/indoor.obj", "landmarks.txt", "notes.md")
    assert first.digest() == second.digest()
    # Of several label files any may be the one that is taken.
    first = folder_of(tmp_path / "a", "subject_01/indoor.npy", "subject_01/indoor.txt")
    for name in ("subject_01/indoor.obj", "landmarks.txt", "subject_01/indoor.txt"):
        before = MeshFolder(first.root).digest()
        (first.root / name).write_text("other")
        assert MeshFolder(tmp_path / "a").digest() != before
