"""Which files of two folders belong together, and what is said of those that do not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from pair_files import points_of, write_now_prediction, write_now_scan, write_side

from facebench.bench.datasets.now import find_now_pairs, is_now_folder
from facebench.bench.datasets.pairs import find_pairs
from facebench.bench.landmarks.files import read_landmark_file
from facebench.bench.landmarks.points import SEVEN
from facebench.errors import FacebenchError
from facebench.recon.mesh.record import Mesh
from facebench.recon.morphable.procedural import procedural_model


@pytest.fixture(scope="module")
def face() -> Mesh:
    return procedural_model(0, 2000).mesh()


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return root


def test_equal_paths_are_pairs_whatever_the_format(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "a.obj", "a.txt", "deep/b.ply", ".hidden/c.obj", "notes.md")
    theirs = touch(tmp_path / "theirs", "a.ply", "deep/b.npz", "deep/b.npy")
    first, second = find_pairs(ours, theirs).pairs
    assert (first.name, first.prediction, first.scan) == ("a", ours / "a.obj", theirs / "a.ply")
    assert (first.prediction_landmarks, first.scan_landmarks) == (ours / "a.txt", None)
    assert (second.name, second.scan_landmarks) == ("deep/b", theirs / "deep/b.npy")
    assert not (first.reason or second.reason)


def test_a_file_name_that_is_there_once_is_enough(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "s1/a.obj", "s1/b.obj", "s2/b.obj")
    theirs = touch(tmp_path / "theirs", "x/a.obj", "x/b.obj")
    reasons = {pair.name: pair.reason for pair in find_pairs(ours, theirs).pairs}
    assert reasons == {
        "s1/a": "",
        "s1/b": "no scan of it",
        "s2/b": "no scan of it",
        "x/b": "no prediction of it",
    }


def test_two_files_of_one_name_are_no_choice(tmp_path: Path) -> None:
    ours = touch(tmp_path / "ours", "a.obj", "a.ply")
    theirs = touch(tmp_path / "theirs", "a.obj")
    (pair,) = find_pairs(ours, theirs).pairs
    assert pair.reason == "2 candidates for the prediction: a.obj, a.ply"


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    touch(tmp_path / "ours", "a.obj")
    touch(tmp_path / "empty", "readme.md")
    with pytest.raises(FacebenchError, match="no such folder: expected PREDICTIONS"):
        find_pairs(tmp_path / "ours", tmp_path / "none")
    with pytest.raises(FacebenchError, match="no mesh in it"):
        find_pairs(tmp_path / "ours", tmp_path / "empty")


def test_a_changed_file_is_another_fingerprint(tmp_path: Path) -> None:
    ours, theirs = touch(tmp_path / "ours", "a.obj"), touch(tmp_path / "theirs", "a.obj")
    before = find_pairs(ours, theirs).pairs[0]
    known = before.fingerprint
    assert known == find_pairs(ours, theirs).pairs[0].fingerprint
    os.utime(ours / "a.obj", ns=(1, 1))
    assert before.fingerprint != known


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
    found = find_now_pairs(predictions, dataset)
    names = [(pair.name, pair.group, pair.reason) for pair in found.pairs]
    assert names == [("FaMoS_1/selfie/IMG_1", "selfie", ""), ("FaMoS_2/selfie/IMG_1", "selfie", "")]
    pair = found.pairs[1]
    assert pair.prediction == predictions / "FaMoS_2/selfie/IMG_1.obj"
    assert pair.scan is not None and pair.scan.parent == dataset / "scans/FaMoS_2"
    assert pair.scan_landmarks is not None and pair.prediction_landmarks is not None
    for path in (pair.scan_landmarks, pair.prediction_landmarks):
        points = read_landmark_file(path).points
        np.testing.assert_allclose(points, points_of(face)[SEVEN], atol=1e-6)


def test_an_image_without_prediction_is_a_pair_with_a_reason(now: tuple[Path, Path]) -> None:
    predictions, dataset = now
    (predictions / "FaMoS_1/selfie/IMG_1.obj").unlink()
    (dataset / "scans_lmks_onlypp/FaMoS_2").rename(dataset / "scans_lmks_onlypp/other")
    reasons = [pair.reason for pair in find_now_pairs(predictions, dataset).pairs]
    assert reasons == ["no prediction", "no landmarks of the scan"]


def test_without_a_list_predictions_are_the_images(now: tuple[Path, Path], face: Mesh) -> None:
    predictions, dataset = now
    (dataset / "imagepathsvalidation.txt").unlink()
    write_side(face, predictions / "FaMoS_1/multiview_neutral/IMG_7.ply")
    write_side(face, predictions / "readme.ply")
    names = [pair.name for pair in find_now_pairs(predictions, dataset).pairs]
    assert names == [
        "FaMoS_1/multiview_neutral/IMG_7",
        "FaMoS_1/selfie/IMG_1",
        "FaMoS_2/selfie/IMG_1",
    ]


def test_a_strange_list_is_refused(now: tuple[Path, Path]) -> None:
    predictions, dataset = now
    for line in ("../../IMG_1.jpg", "IMG_1.jpg"):
        (dataset / "imagepathsvalidation.txt").write_text(line)
        with pytest.raises(FacebenchError, match=r"imagepathsvalidation\.txt.*SUBJECT/CHALLENGE"):
            find_now_pairs(predictions, dataset)


def test_predictions_of_something_else_are_refused(now: tuple[Path, Path], tmp_path: Path) -> None:
    other = touch(tmp_path / "other", "a.obj")
    with pytest.raises(FacebenchError, match="no prediction of any of 2 images"):
        find_now_pairs(other, now[1])
