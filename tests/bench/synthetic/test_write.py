"""Synthetic sets in MICC's layout: names, scans on the true surface, videos, truth kept apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from micc_sets import micc_dataset

from facebench.bench.surface.surface import Surface
from facebench.bench.synthetic.write import MiccPlan, truth_folder, write_micc
from facebench.errors import FacebenchError
from facebench.recon.face.crop import read_boxes
from facebench.recon.files.writing import MARK
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.video.decode import read_chunks

FRAMES = 5


def _ignore(_: int) -> None:
    return None


@pytest.fixture(scope="module")
def plan() -> MiccPlan:
    digest = load_model("embedded").digest
    scenes = ("cooperative", "indoor", "outdoor")
    return MiccPlan("embedded", digest, 2, FRAMES, scenes, boxes=True, seed=5)


@pytest.fixture(scope="module")
def data(plan: MiccPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("micc") / "data"
    write_micc(plan, folder, 1, _ignore)
    return folder


def _truth(data: Path, subject: str) -> dict[str, Any]:
    with np.load(truth_folder(data) / f"{subject}.npz") as file:
        return dict(file)


def _placed(truth: dict[str, Any], name: str) -> np.ndarray:
    return truth["vertices"] @ truth[f"{name}_rotation"].T + truth[f"{name}_translation"]


def test_the_benchmarks_reader_finds_everything(data: Path) -> None:
    dataset = micc_dataset(data)
    assert dataset.subjects == ("subject_01", "subject_02")
    assert len(dataset.clips) == 6
    assert [scan.name for scan in dataset.scans] == ["frontal1", "frontal2"] * 2
    assert dataset.problems == ()
    assert len({clip.path.suffix for clip in dataset.clips}) >= 3


def test_videos_decode_to_every_frame(data: Path) -> None:
    for clip in micc_dataset(data).clips:
        chunks = list(read_chunks(clip.path, clip.id))
        assert sum(len(chunk.frames) for chunk in chunks) == FRAMES
        assert not any(chunk.reason for chunk in chunks)
        frames = np.concatenate([chunk.frames for chunk in chunks])
        assert frames.std() > 20
        assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 0.5


def test_no_truth_lies_in_the_set(data: Path) -> None:
    files = [path for path in data.rglob("*") if path.is_file()]
    suffixes = {path.suffix for path in files if path.name not in (".lock", MARK)}
    assert suffixes <= {".obj", ".csv", ".mjpg", ".mjpeg", ".avi", ".mpg", ".mov"}
    assert not truth_folder(data).is_relative_to(data)


@pytest.mark.parametrize("name", ["frontal1", "frontal2"])
def test_scan_lies_on_the_true_surface(data: Path, name: str) -> None:
    """Around the nose the scanner's noise of 0.12 mm is all that parts scan and truth."""
    truth = _truth(data, "subject_01")
    (path,) = (data / "subject_01" / "Model" / name / "obj").glob("*.obj")
    scan = trimesh.load(path, process=False, maintain_order=True)
    near = np.linalg.norm(scan.vertices - truth[f"{name}_nose_tip"], axis=1) < 45
    surface = Surface(Mesh(_placed(truth, name), truth["triangles"]))
    distance = surface.closest(np.asarray(scan.vertices)[near]).distance
    assert near.sum() > 1200
    assert np.quantile(distance, 0.98) < 0.5
    assert 0.02 < np.median(distance) < 0.15


def test_scan_is_another_mesh_than_the_models(data: Path) -> None:
    truth = _truth(data, "subject_02")
    (path,) = (data / "subject_02" / "Model" / "frontal1" / "obj").glob("*.obj")
    scan = trimesh.load(path, process=False, maintain_order=True)
    assert 20_000 < len(scan.vertices) < 52_000
    assert len(scan.vertices) != len(truth["vertices"])
    assert len(np.unique(scan.faces)) == len(scan.vertices)
    assert np.isfinite(scan.vertices).all()
    assert (trimesh.triangles.area(scan.triangles) > 0).all()


def test_scans_are_pitched_down_and_anywhere(data: Path) -> None:
    for subject in ("subject_01", "subject_02"):
        truth = _truth(data, subject)
        middles = []
        for name in ("frontal1", "frontal2"):
            forward = truth[f"{name}_rotation"] @ [0, 0, 1]
            assert 25 < np.degrees(np.arcsin(-forward[1])) < 65
            assert np.linalg.det(truth[f"{name}_rotation"]) == pytest.approx(1)
            middles.append(truth[f"{name}_translation"])
        assert np.linalg.norm(middles[0] - middles[1]) > 100


def test_scan_faces_outward(data: Path) -> None:
    truth = _truth(data, "subject_01")
    (path,) = (data / "subject_01" / "Model" / "frontal1" / "obj").glob("*.obj")
    scan = trimesh.load(path, process=False, maintain_order=True)
    forward = truth["frontal1_rotation"] @ [0, 0, 1]
    near = np.linalg.norm(scan.triangles_center - truth["frontal1_nose_tip"], axis=1) < 60
    assert (scan.face_normals[near] @ forward > 0).mean() > 0.97


def test_two_scans_differ_only_by_the_scanner(data: Path) -> None:
    truth = _truth(data, "subject_01")
    back = (truth["frontal2_nose_tip"] - truth["frontal2_translation"]) @ truth["frontal2_rotation"]
    tip = truth["frontal1_rotation"] @ back + truth["frontal1_translation"]
    np.testing.assert_allclose(tip, truth["frontal1_nose_tip"], atol=1e-6)


def test_truth_is_the_model_with_its_detail(data: Path) -> None:
    model = load_model("embedded")
    truth = _truth(data, "subject_02")
    decoded = model.mesh(truth["identity"]).vertices
    np.testing.assert_allclose(truth["vertices"], decoded + truth["detail"], atol=2e-3)


def test_boxes_hold_the_landmarks(data: Path) -> None:
    truth = _truth(data, "subject_01")
    (clip,) = (c for c in micc_dataset(data).clips if c.id == "subject_01/cooperative")
    assert clip.boxes is not None
    boxes = read_boxes(clip.boxes)
    assert set(boxes) == set(range(FRAMES))
    for number, box in boxes.items():
        low = truth["cooperative_landmarks"][number].min(axis=0)
        np.testing.assert_allclose([box.left, box.top], low, atol=0.02)


def test_landmarks_lie_on_the_face_in_the_video(data: Path) -> None:
    """The lips are redder than the skin below them, where the landmarks say that they are."""
    truth = _truth(data, "subject_01")
    (clip,) = (c for c in micc_dataset(data).clips if c.id == "subject_01/cooperative")
    frames = np.concatenate([c.frames for c in read_chunks(clip.path, clip.id)])
    for frame, landmarks in zip(frames, truth["cooperative_landmarks"], strict=True):
        lips = _mean_colour(frame, landmarks[48:60].mean(axis=0))
        chin = _mean_colour(frame, (landmarks[57] + landmarks[8]) / 2)
        assert lips[0] / lips.sum() > chin[0] / chin.sum()


def _mean_colour(frame: np.ndarray, centre: np.ndarray) -> np.ndarray:
    column, row = np.rint(centre).astype(int)
    return frame[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3).mean(axis=0)


def test_finished_subjects_are_kept_and_unfinished_ones_made_again(
    plan: MiccPlan, data: Path
) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    (truth_folder(data) / "subject_02.npz").unlink()
    next((data / "subject_02" / "Video").glob("*.avi")).unlink()
    kept = next((data / "subject_01" / "Video").glob("*.mjpg"))
    written = kept.stat().st_mtime_ns
    counted: list[int] = []
    write_micc(plan, data, 1, counted.append)
    assert sum(counted) == 2
    assert kept.stat().st_mtime_ns == written
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_another_plan_is_refused(plan: MiccPlan, data: Path) -> None:
    with pytest.raises(FacebenchError, match="was begun with seed"):
        write_micc(replace(plan, seed=6), data, 1, _ignore)


def test_a_folder_with_something_else_is_refused(plan: MiccPlan, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(FacebenchError, match="other files"):
        write_micc(plan, tmp_path, 1, _ignore)
    assert (tmp_path / "letter.txt").exists()


def test_another_seed_gives_other_people(plan: MiccPlan, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    few = replace(plan, seed=6, subjects=1, frames=1, scenes=("indoor",), boxes=False)
    write_micc(few, other, 1, _ignore)
    mine, theirs = _truth(data, "subject_01"), _truth(other, "subject_01")
    assert np.abs(mine["identity"] - theirs["identity"]).max() > 0.1
    assert micc_dataset(other, scenes=("indoor",)).clips[0].boxes is None
