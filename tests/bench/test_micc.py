from pathlib import Path

import pytest
from micc_sets import micc_dataset

from facebench.bench.dataset.interface import Dataset
from facebench.errors import FacebenchError

VIDEOS = ("Indoor-Cooperative.mjpg", "PTZ-Indoor.mjpeg", "PTZ-Outdoor.mpg")


def add(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def add_subject(root: Path, name: str) -> None:
    add(root, *(f"{name}/Video/{video}" for video in VIDEOS))
    for scan in ("frontal1", "frontal2", "sidel", "sider"):
        add(root, f"{name}/Model/{scan}/obj/110907180245.obj", f"{name}/Model/{scan}/vrml/1.wrl")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    add_subject(tmp_path, "subject_01")
    add_subject(tmp_path, "subject_02")
    return tmp_path


def reasons(dataset: Dataset) -> list[str]:
    return [f"{problem.where}: {problem.reason}" for problem in dataset.problems]


def test_a_complete_set(root: Path) -> None:
    dataset = micc_dataset(root)
    assert dataset.subjects == ("subject_01", "subject_02")
    assert dataset.scenes == ("cooperative", "indoor", "outdoor")
    assert [clip.id for clip in dataset.clips] == [
        f"{subject}/{scene}" for subject in dataset.subjects for scene in dataset.scenes
    ]
    assert [clip.path.name for clip in dataset.clips[:3]] == list(VIDEOS)
    assert [(scan.subject, scan.name) for scan in dataset.scans] == [
        (subject, name) for subject in dataset.subjects for name in ("frontal1", "frontal2")
    ]
    assert dataset.problems == ()


def test_two_folders_of_one_subject_are_no_choice(root: Path) -> None:
    add_subject(root, "Subject_01")
    for name in ("Thumbs.db", "subject_02/Model/desktop.ini", "subject_02/Video/._PTZ-Indoor.mpg"):
        add(root, name)
    dataset = micc_dataset(root)
    first, *_, last = dataset.items
    assert first.clip is None and not first.scans and last.clip is not None and last.scans
    assert "2 folders of one subject: Subject_01, subject_01" in first.reason
    assert all("2 folders" in reason for reason in reasons(dataset))


def test_names_in_any_case_and_the_other_folder_name(tmp_path: Path) -> None:
    add(
        tmp_path,
        "Subject_07/VIDEOS/indoor-COOPERATIVE.AVI",
        "Subject_07/Videos/ptz-indoor.Mov",
        "Subject_07/videos/PTZ-OUTDOOR.mp4",
        "Subject_07/MODEL/Frontal1/OBJ/x.OBJ",
    )
    dataset = micc_dataset(tmp_path)
    assert dataset.subjects == ("subject_07",)
    assert [clip.id for clip in dataset.clips] == [
        "subject_07/cooperative",
        "subject_07/indoor",
        "subject_07/outdoor",
    ]
    assert reasons(dataset) == []
    assert [scan.name for scan in dataset.scans] == ["frontal1"]


def test_landmarks_beside_a_scan_belong_to_the_dataset(root: Path) -> None:
    before = micc_dataset(root)
    scan = before.scans[0]
    labels = scan.path.with_name(f"{scan.path.stem.upper()}.Landmarks.txt")
    labels.write_text("1 2 3\n")
    after = micc_dataset(root)
    assert after.scans[0].landmarks == labels and after.scans[0].nose_tip == scan.nose_tip
    assert all(scan.landmarks is None for scan in before.scans)
    assert after.digest != before.digest and after.problems == before.problems


def test_labels_and_boxes_beside_the_files(root: Path) -> None:
    obj = "subject_01/Model/frontal1/obj/110907180245"
    add(root, f"{obj}.PP", "subject_01/Video/PTZ-Indoor.boxes.csv")
    dataset = micc_dataset(root)
    labels = [scan.nose_tip for scan in dataset.scans]
    assert labels == [root / f"{obj}.PP", None, None, None]
    boxes = {clip.id: clip.boxes for clip in dataset.clips}
    assert boxes["subject_01/indoor"] == root / "subject_01/Video/PTZ-Indoor.boxes.csv"
    assert boxes["subject_01/outdoor"] is None
    assert dataset.problems == ()


def test_what_is_wrong_with_one_subject_leaves_the_others(root: Path) -> None:
    (root / "subject_01/Video/PTZ-Outdoor.mpg").unlink()
    (root / "subject_01/Video/PTZ-Indoor.mjpeg").write_text("")
    add(root, "subject_01/Video/Indoor-Cooperative.avi", "subject_01/Video/notes.txt")
    add(root, "subject_01/Model/frontal1/obj/two.obj", "subject_01/Model/back/obj/1.obj")
    (root / "subject_01/Model/frontal2/obj/110907180245.obj").write_text("")
    add(root, "readme.html", ".DS_Store", "subject_01/.hidden")
    dataset = micc_dataset(root)
    assert {clip.id.split("/")[0] for clip in dataset.clips} == {"subject_02"}
    assert {scan.subject for scan in dataset.scans} == {"subject_02"}
    assert reasons(dataset) == [
        "readme.html: not recognised",
        (
            "subject_01/cooperative: 2 candidates for the video: Indoor-Cooperative.avi, "
            "Indoor-Cooperative.mjpg"
        ),
        "subject_01/indoor: empty video: PTZ-Indoor.mjpeg",
        "subject_01/outdoor: no video",
        "subject_01/frontal1: 2 candidates for the OBJ file: 110907180245.obj, two.obj",
        "subject_01/frontal2: empty OBJ file: 110907180245.obj",
        "subject_01: no usable frontal scan",
        "subject_01: not recognised: Model/back",
        "subject_01: not recognised: Video/notes.txt",
    ]


def test_a_choice_of_subjects_and_scenes(root: Path) -> None:
    dataset = micc_dataset(root, scenes=["outdoor"], subjects=["subject_02"])
    assert [clip.id for clip in dataset.clips] == ["subject_02/outdoor"]
    assert micc_dataset(root, exclude=["subject_01"]).subjects == ("subject_02",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenes": ["indor"]}, "unknown scene 'indor': did you mean 'indoor'"),
        ({"subjects": ["subject_1"]}, "unknown subject 'subject_1': did you mean 'subject_01'"),
        ({"exclude": ["30"]}, "unknown subject '30'"),
    ],
)
def test_unknown_names(root: Path, arguments: dict, message: str) -> None:
    with pytest.raises(FacebenchError, match=message):
        micc_dataset(root, **arguments)


def test_folders_that_are_not_micc(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FacebenchError, match="not a MICC folder: expected subject_NN"):
        micc_dataset(tmp_path / "empty")
    with pytest.raises(FacebenchError, match="no such folder"):
        micc_dataset(tmp_path / "none")
    add_subject(tmp_path / "outer" / "Florence", "subject_01")
    with pytest.raises(FacebenchError, match=r"did you mean .*Florence"):
        micc_dataset(tmp_path / "outer")


def test_the_digest_is_of_what_is_read(root: Path) -> None:
    digest = micc_dataset(root).digest
    add(root, "subject_01/Video/notes.txt")
    assert micc_dataset(root).digest == digest
    (root / "subject_02/Video/PTZ-Indoor.mjpeg").write_text("longer than before, by far")
    assert micc_dataset(root).digest != digest
    assert micc_dataset(root, subjects=["subject_01"]).digest != digest
