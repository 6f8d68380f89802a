"""Poses of crops and of whole pictures show the same points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.errors import FacebenchError
from facebench.recon.face.coefficients import (
    CoefficientSizes,
    FaceCoefficients,
    pose_in_crop,
    pose_in_picture,
)
from facebench.recon.face.crop import Window, mean_face_pose
from facebench.recon.morphable.load import load_model
from facebench.recon.portraits.reconstructor import Reconstructor
from facebench.recon.recipes.regressor import NetworkRecipe
from facebench.recon.regressors.regressor import FaceRegressor

MODEL = load_model("embedded")
SIZES = CoefficientSizes.of(MODEL)


def some_faces(n: int) -> FaceCoefficients:
    random = np.random.default_rng(5)
    pose = np.column_stack([random.normal(0, 0.2, (n, 6)), random.uniform(0.005, 0.02, n)])
    parts = (random.normal(size=(n, k)) for k in (SIZES.identity, SIZES.expression, SIZES.albedo))
    return FaceCoefficients(*parts, pose, random.normal(size=(n, 9, 3)))


@pytest.fixture(scope="module")
def reconstructor() -> Reconstructor:
    recipe = NetworkRecipe("resnet18", width=8, image_size=64)
    return Reconstructor(MODEL, FaceRegressor(recipe, SIZES, mean_face_pose(MODEL)).eval())


@pytest.mark.parametrize("image_size", [(480, 640), (640, 480), (333, 333)])
def test_landmarks_lie_where_the_crop_was_cut(
    reconstructor: Reconstructor, image_size: tuple[int, int]
) -> None:
    window, face = Window(71.5, -20.25, 210.0), some_faces(1)
    crop = reconstructor.landmarks(face, (224, 224))[0]
    pose = pose_in_picture(face.pose[0], window, image_size)
    placed = FaceCoefficients(**{**vars(face), "pose": pose[None]})
    found = reconstructor.landmarks(placed, image_size)[0]
    np.testing.assert_allclose(found, window.to_frame(crop.astype(np.float32), 224), atol=2e-3)


@settings(max_examples=50, deadline=None)
@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(20, 900))
def test_there_and_back(left: float, top: float, side: float) -> None:
    pose, window = some_faces(1).pose[0], Window(left, top, side)
    back = pose_in_crop(pose_in_picture(pose, window, (480, 640)), window, (480, 640))
    np.testing.assert_allclose(back, pose, rtol=1e-9, atol=1e-9)


def test_one_person_has_the_mean_identity_and_keeps_the_rest() -> None:
    faces = some_faces(5)
    person = faces.of_one_person()
    np.testing.assert_allclose(person.identity, np.tile(faces.identity.mean(axis=0), (5, 1)))
    np.testing.assert_array_equal(person.expression, faces.expression)
    joined = FaceCoefficients.join([faces[:2], faces[2:]])
    np.testing.assert_array_equal(joined.light, faces.light)


def test_what_is_no_number_is_refused() -> None:
    faces = some_faces(2)
    faces.check_finite()
    faces.light[1, 3, 0] = np.nan
    with pytest.raises(FacebenchError, match="not finite"):
        faces.check_finite()
