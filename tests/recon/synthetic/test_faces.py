"""Synthetic faces: the picture, the landmarks, the mask and the coefficients tell one story."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from facebench.recon.face.coefficients import Coefficients, CoefficientSizes
from facebench.recon.face.imaging import project, rotate, rotation_matrix, to_pixels
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render.face import FaceDecoder
from facebench.recon.synthetic.appearance import CLASS
from facebench.recon.synthetic.faces import FaceSampler, LabelledFace

FACES = 24


@pytest.fixture(scope="module")
def faces(sampler: FaceSampler) -> list[LabelledFace]:
    return [sampler.face(subject, 0) for subject in range(FACES)]


def _truth(face: LabelledFace, model: MorphableModel) -> Coefficients:
    vector = torch.from_numpy(face.coefficients)[None]
    return Coefficients.from_vector(vector, CoefficientSizes.of(model))


def test_same_seed_gives_the_same_bytes(sampler: FaceSampler, model: MorphableModel) -> None:
    again = FaceSampler(model, seed=3, image_size=112).face(5, 1)
    first = sampler.face(5, 1)
    assert again.jpeg() == first.jpeg()
    assert again.png_mask() == first.png_mask()
    np.testing.assert_array_equal(again.coefficients, first.coefficients)


def test_another_seed_gives_another_face(sampler: FaceSampler, model: MorphableModel) -> None:
    other = FaceSampler(model, seed=4, image_size=112).face(5, 1)
    assert np.abs(other.coefficients - sampler.face(5, 1).coefficients).max() > 0.1
    assert other.jpeg() != sampler.face(5, 1).jpeg()


def test_frames_of_a_subject_share_identity_and_albedo_only(
    sampler: FaceSampler, model: MorphableModel
) -> None:
    one, two = (_truth(sampler.face(2, frame), model) for frame in (0, 1))
    assert torch.equal(one.identity, two.identity)
    assert torch.equal(one.albedo, two.albedo)
    assert not torch.equal(one.pose, two.pose)
    assert not torch.equal(one.expression, two.expression)


def test_landmarks_are_the_projection_of_the_coefficients(
    faces: list[LabelledFace], model: MorphableModel
) -> None:
    decoder = FaceDecoder(model)
    for face in faces:
        truth = _truth(face, model)
        points = decoder.shape(truth.identity, truth.expression)[decoder.landmarks]
        turned = rotate(points, rotation_matrix(truth.pose[:, :3]))
        pixels = to_pixels(project(turned, truth.pose), (112, 112))[..., 0].numpy()
        np.testing.assert_allclose(face.landmarks, pixels, atol=1e-3)


def test_face_stands_within_a_detectors_slop(faces: list[LabelledFace]) -> None:
    boxes = np.stack([[f.landmarks.min(axis=0), f.landmarks.max(axis=0)] for f in faces]) / 112
    middle, side = boxes.mean(axis=1), np.ptp(boxes, axis=1).max(axis=1)
    assert np.abs(middle - 0.5).max() < 0.25
    assert side.min() > 0.4 and side.max() < 0.95


def test_picture_and_files_agree(faces: list[LabelledFace]) -> None:
    face = faces[0]
    mask = np.asarray(Image.open(io.BytesIO(face.png_mask())))
    np.testing.assert_array_equal(mask, face.mask)
    picture = np.asarray(Image.open(io.BytesIO(face.jpeg())).convert("RGB"), float)
    assert np.abs(picture - face.image).mean() < 12


def test_mask_names_what_the_landmarks_say(faces: list[LabelledFace]) -> None:
    """Over many faces, most being unoccluded: nose tip on the nose, eyes at the eyes."""
    expected = {
        "nose": [(30,)],
        "r_eye": [(36, 37, 38, 39, 40, 41)],
        "l_eye": [(42, 43, 44, 45, 46, 47)],
        "r_brow": [(19,)],
        "l_brow": [(24,)],
    }
    for name, groups in expected.items():
        hits = [CLASS[name] == _class_at(face, group) for face in faces for group in groups]
        assert np.mean(hits) > 0.4, name


def _class_at(face: LabelledFace, group: tuple[int, ...]) -> int:
    column, row = np.rint(face.landmarks[list(group)].mean(axis=0)).astype(int).clip(0, 111)
    return int(face.mask[row, column])


def test_left_and_right_are_the_subjects(faces: list[LabelledFace]) -> None:
    for face in faces:
        right, left = (np.argwhere(face.mask == CLASS[n])[:, 1] for n in ("r_eye", "l_eye"))
        if len(right) > 5 and len(left) > 5:
            assert right.mean() < left.mean()


def test_skin_covers_a_sensible_share(faces: list[LabelledFace]) -> None:
    share = np.array([(face.mask == CLASS["skin"]).mean() for face in faces])
    assert 0.1 < share.mean() < 0.45
    assert share.max() < 0.75


def test_pictures_vary_and_are_exposed(faces: list[LabelledFace]) -> None:
    means = np.array([face.image.mean() for face in faces])
    assert 60 < means.mean() < 190
    assert np.ptp(means) > 30
    assert all(face.image.std() > 15 for face in faces)
