"""Photographs as sets are published: whose they are, and where the face is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from facebench.bench.figures.photographs import (
    landmarks_beside,
    photograph_sources,
    photographed_faces,
    read_faces,
    several_of_each,
    subject_of,
)
from facebench.errors import FacebenchError
from facebench.recon.face.crop import (
    Box,
    box_of_points,
    crop_window,
    read_image_points,
    write_boxes,
)
from facebench.recon.face.labels import FIVE_POINTS, TEMPLATE
from facebench.recon.mesh import Mesh
from facebench.recon.render.face_in_photograph import FaceInPhotograph
from facebench.recon.vision.detect import CascadeDetector


class NoDetector:
    """Finds nothing, so that a face's place must come from beside its photograph."""

    def detect(self, frame: np.ndarray) -> Box | None:
        return None

    def detect_all(self, frame: np.ndarray) -> list[Box]:
        return []


def picture(path: Path, side: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), 90, np.uint8)).save(path)
    return path


def subjects(folder: Path) -> dict[str, str]:
    return {source.name: subject_of(source) for source in photograph_sources([folder])}


def test_lfw_a_flat_folder_and_a_folder_each(tmp_path: Path) -> None:
    picture(tmp_path / "lfw" / "Ann_Smith" / "Ann_Smith_0001.jpg")
    picture(tmp_path / "lfw" / "Ann_Smith" / "Ann_Smith_0002.jpg")
    picture(tmp_path / "mofa" / "image_01.png")
    picture(tmp_path / "mofa" / "image_02.png")
    picture(tmp_path / "mine" / "Bob" / "holiday.jpg")
    picture(tmp_path / "loose" / "Cid_0001.jpg")
    picture(tmp_path / "loose" / "Cid_0002.jpg")
    assert set(subjects(tmp_path / "lfw").values()) == {"Ann_Smith"}
    assert len(set(subjects(tmp_path / "mofa").values())) == 2
    assert set(subjects(tmp_path / "mine").values()) == {"Bob"}
    assert set(subjects(tmp_path / "loose").values()) == {"Cid"}


def test_the_numbers_of_a_camera_are_no_person(tmp_path: Path) -> None:
    words = ("IMG", "_DSC", "IMG_20260101", "20260101")
    names = [f"{word}_000{n}" for word in words for n in (1, 2)]
    for name in names:
        picture(tmp_path / f"{name}.jpg")
    assert sorted(subjects(tmp_path).values()) == sorted(names)
    people = {"Jo_Pimg", "Jean_Val", "s01", "n000001", "person_12", "000123"}
    for name in people:
        picture(tmp_path / f"{name}_0001.jpg")
    assert people <= set(subjects(tmp_path).values())


def test_a_real_face_is_found_and_the_rest_is_told(tmp_path: Path) -> None:
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "b.png")
    picture(tmp_path / "a.png", 64)
    (tmp_path / "c.jpg").write_bytes(b"nothing")
    photographs, problems = read_faces(photograph_sources([tmp_path]), CascadeDetector(), 5)
    assert [one.name for one in photographs] == ["b"]
    assert ["a.png" in problems[0], "c.jpg" in problems[1]] == [True, True]
    assert photographs[0].crop(32).shape == (32, 32, 3)


def test_no_more_is_read_than_is_wanted(tmp_path: Path) -> None:
    for name in "abc":
        write_boxes(tmp_path / f"{name}.boxes.csv", {0: Box(5.0, 6.0, 20.0, 21.0)})
        picture(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"nothing")
    photographs, problems = read_faces(photograph_sources([tmp_path]), NoDetector(), 2)
    assert len(photographs) == 2 and not problems
    assert photographs[0].box == Box(5.0, 6.0, 20.0, 21.0)


POINTS = np.random.default_rng(0).uniform(10, 30, (68, 2))
for pair, place in zip(FIVE_POINTS, TEMPLATE, strict=True):  # those that tell an order
    POINTS[list(pair)] = np.array(place) * 0.2 + 8


def test_landmarks_beside_say_where_the_face_is(tmp_path: Path) -> None:
    rows = "\n".join(f"{x} {y}" for x, y in POINTS + 1.0)
    (tmp_path / "a.pts").write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n")
    np.savetxt(tmp_path / "b.txt", POINTS)
    np.save(tmp_path / "c.npy", POINTS)
    for name in "abc":
        picture(tmp_path / f"{name}.png")
    photographs, _ = read_faces(photograph_sources([tmp_path]), NoDetector(), 3)
    low, size = POINTS.min(axis=0), np.ptp(POINTS, axis=0)
    for one in photographs:
        assert one.landmarks is not None and np.allclose(one.landmarks, POINTS)
        assert np.allclose(list(vars(one.box).values()), [*(low + 0.5), *size])
    assert len(photographs) == 3


def test_labels_beside_the_face_are_doubted(tmp_path: Path) -> None:
    """As those of a photograph before Exif turns it: the figure is drawn, and the line says so."""
    for name, box in (
        ("right", Box(180.0, 60.0, 90.0, 110.0)),
        ("wrong", Box(10.0, 400.0, 90.0, 90.0)),
    ):
        Image.fromarray(skimage.data.astronaut()).save(tmp_path / f"{name}.png")
        write_boxes(tmp_path / f"{name}.boxes.csv", {0: box})
    photographs, problems = read_faces(photograph_sources([tmp_path]), CascadeDetector(), 2)
    assert len(photographs) == 2
    assert ["wrong.png: its labels lie" in one for one in problems] == [True]


def test_five_points_tell_nearly_the_box_of_all(tmp_path: Path) -> None:
    from facebench.recon.morphable.load import load_model

    model = load_model("embedded")
    face = model.mesh().vertices[model.landmarks, :2] * [0.8, -0.8] + 100.0
    five = np.stack([face[[36, 39]].mean(0), face[[42, 45]].mean(0), face[30], face[48], face[54]])
    path = tmp_path / "detections" / "a.txt"
    path.parent.mkdir()
    np.savetxt(path, five)
    assert landmarks_beside(tmp_path / "a.jpg") == path
    box, true = (box_of_points(points) for points in (read_image_points(path), face))
    assert np.allclose(list(vars(box).values()), list(vars(true).values()), atol=1e-3)


@pytest.mark.parametrize("content", ["a caption of the picture", "1 2\n3 4", "nan " * 136])
def test_another_text_is_no_landmarks(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(content)
    picture(tmp_path / "a.png")
    photographs, problems = read_faces(photograph_sources([tmp_path]), NoDetector(), 1)
    assert not photographs and "a.txt" in problems[0] and "\n" not in problems[0]


class AtLandmarks:
    """A method that starts from landmarks and keeps those it is given."""

    crop_size = 32

    def faces_at_landmarks(self, crops: np.ndarray, landmarks: np.ndarray) -> list[object]:
        self.landmarks = landmarks
        mesh = Mesh(np.eye(3), np.array([[0, 1, 2]]))
        face = FaceInPhotograph(mesh, mesh.vertices, np.zeros(7), np.zeros((9, 3)))
        return [face] * len(crops)

    def faces_in_photographs(self, crops: np.ndarray) -> list[object]:
        raise AssertionError("landmarks were given")


def test_a_method_starts_from_the_landmarks_beside_a_photograph(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.landmarks.txt", POINTS)
    write_boxes(tmp_path / "b.boxes.csv", {0: Box(5.0, 6.0, 20.0, 21.0)})
    for name in "ab":
        picture(tmp_path / f"{name}.png")
    photographs, _ = read_faces(photograph_sources([tmp_path]), NoDetector(), 2)
    method = AtLandmarks()
    photographed_faces(method, photographs, NoDetector())  # type: ignore[arg-type]
    window = crop_window(photographs[0].box)
    back = window.to_frame(method.landmarks[0].astype(np.float32), method.crop_size)
    assert np.allclose(back, POINTS, atol=1e-4) and np.isnan(method.landmarks[1]).all()


def test_people_need_several_photographs(tmp_path: Path) -> None:
    for name in ("x/1", "x/2", "x/3", "y/1", "z/1", "z/2"):
        path = picture(tmp_path / f"{name}.png")
        write_boxes(path.with_suffix(".boxes.csv"), {0: Box(5.0, 5.0, 20.0, 20.0)})
    parts = list(several_of_each(photograph_sources([tmp_path]), NoDetector(), 5, 2))
    assert [[one.name for one in photographs] for photographs, _ in parts] == [
        ["x/1", "x/2"],
        ["z/1", "z/2"],
    ]
    with pytest.raises(FacebenchError, match="nobody has two photographs"):
        list(several_of_each(photograph_sources([tmp_path / "y"]), NoDetector(), 5, 2))
