"""A face brought to landmarks: it meets them, keeps what they do not say, and harms no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray

from facebench.recon.face.coefficients import Coefficients, CoefficientSizes, FaceCoefficients
from facebench.recon.face.crop import Box, mean_face_pose
from facebench.recon.face.imaging import (
    AMBIENT,
    ambient_light,
    project,
    rotate,
    rotation_matrix,
    to_pixels,
)
from facebench.recon.fitting.refinement import (
    FaceRefiner,
    align_gaze,
    make_refiner,
    share_brightness,
    with_one_skin,
)
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render import make_renderer
from facebench.recon.render.face import FaceDecoder, FaceRenderer
from facebench.recon.vision.landmarks import make_landmark_detector

SIZE, FACES = 224, 4


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model("embedded")


@pytest.fixture(scope="module")
def truth(model: MorphableModel) -> FaceCoefficients:
    random = np.random.default_rng(4)
    pose = np.tile(mean_face_pose(model), (FACES, 1))
    pose[:, :3] = random.uniform(-1, 1, (FACES, 3)) * [0.15, 0.25, 0.15]
    pose[:, 3] = 0.0
    identity = 0.5 * random.standard_normal((FACES, model.identity_basis.shape[2]))
    expression = 0.5 * random.standard_normal((FACES, model.expression_basis.shape[2]))
    albedo = random.standard_normal((FACES, model.albedo_basis.shape[2]))
    light = random.uniform(0, 1, (FACES, 9, 3))
    return FaceCoefficients(identity, expression, albedo, pose, light)


def _landmarks(model: MorphableModel, faces: FaceCoefficients) -> NDArray[np.float64]:
    batch = faces.tensors("cpu")
    points = FaceDecoder(model).landmark_shape(batch.identity, batch.expression)
    placed = project(rotate(points, rotation_matrix(batch.pose[:, :3])), batch.pose)
    return to_pixels(placed, (SIZE, SIZE)).permute(2, 0, 1).double().numpy()


@pytest.fixture(scope="module")
def start(truth: FaceCoefficients) -> FaceCoefficients:
    """What a network said: no expression, half the yaw, a little off."""
    pose = truth.pose.copy()
    pose[:, 1] *= 0.5
    pose[:, 3:5] += 0.02
    return replace(truth, expression=np.zeros_like(truth.expression), pose=pose)


def _error(model: MorphableModel, faces: FaceCoefficients, at: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(_landmarks(model, faces) - at, axis=2)[:, 17:].mean())


class _Nobody:
    def landmarks(self, frames: object, boxes: object) -> NDArray[np.float32]:
        raise AssertionError("not asked")


def test_the_face_meets_its_landmarks_and_keeps_the_rest(
    model: MorphableModel, truth: FaceCoefficients, start: FaceCoefficients
) -> None:
    at = _landmarks(model, truth)
    refined = FaceRefiner(model, _Nobody()).refine_to(start, at, SIZE)
    assert _error(model, start, at) > 3.0
    assert _error(model, refined, at) < 0.8
    # The head is turned by the landmarks, not by bending a frontal face.
    np.testing.assert_allclose(refined.pose[:, 1], truth.pose[:, 1], atol=0.05)
    np.testing.assert_allclose(refined.albedo, start.albedo, atol=1e-6)
    np.testing.assert_allclose(refined.light, start.light, atol=1e-6)
    # It is the most probable face near the one that was regressed: that one itself where it fits.
    same = FaceRefiner(model, _Nobody()).refine_to(truth, at, SIZE)
    assert np.abs(same.identity - truth.identity).max() < 0.02


def test_a_face_without_landmarks_stays_and_harms_no_other(
    model: MorphableModel, truth: FaceCoefficients, start: FaceCoefficients
) -> None:
    at = _landmarks(model, truth)
    refiner = FaceRefiner(model, _Nobody())
    whole = refiner.refine_to(start, at, SIZE)
    missing = at.copy()
    missing[1] = np.nan
    found = refiner.refine_to(start, missing, SIZE)
    for name, value in vars(found[1]).items():
        np.testing.assert_allclose(value, getattr(start[1], name), atol=1e-6)
    for number in (0, 2, 3):
        np.testing.assert_allclose(found.identity[number], whole.identity[number], atol=1e-5)


def test_blend_shapes_stay_between_0_and_1_and_not_their_steps() -> None:
    """A mouth that a network opened, and one that it opened too little."""
    human = load_model("human")
    sizes, jaw = CoefficientSizes.of(human), human.expression_names.index("jawOpen")
    parts = (np.zeros((2, n)) for n in (sizes.identity, sizes.expression, sizes.albedo))
    pose = np.tile(mean_face_pose(human), (2, 1))
    rest = FaceCoefficients(*parts, pose, np.ones((2, 9, 3)))
    said, shown = np.zeros((2, 2, sizes.expression))
    said[:, jaw], shown[:, jaw] = (0.5, 0.8), (0.0, 1.3)
    at = _landmarks(human, replace(rest, expression=shown))
    found = FaceRefiner(human, _Nobody()).refine_to(replace(rest, expression=said), at, SIZE)
    assert found.expression[0, jaw] < 0.25 and found.expression[1, jaw] < 1.1
    assert found.expression.min() > -0.1


def test_landmarks_are_looked_for_in_the_whole_crop(
    model: MorphableModel, truth: FaceCoefficients, start: FaceCoefficients
) -> None:
    at = _landmarks(model, truth).astype(np.float32)

    class Known:
        def landmarks(self, frames: list[object], boxes: list[object]) -> NDArray[np.float32]:
            assert len(frames) == len(boxes) == FACES
            return at

    crops = np.zeros((FACES, SIZE, SIZE, 3), np.uint8)
    found = FaceRefiner(model, Known()).refine(start, crops)
    assert _error(model, found, at) < 0.8
    assert torch.is_inference_mode_enabled() is False


def test_the_face_is_lit_as_its_photograph_is(
    model: MorphableModel, truth: FaceCoefficients
) -> None:
    light = ambient_light(FACES).double().numpy() * np.array([0.5, 0.8, 1.0, 1.2])[:, None, None]
    light[:, 3] = np.array([-0.3, 0.0, 0.1, 0.3])[:, None]
    shown = replace(truth, light=light)
    crops = _photographs(model, shown)
    beside = replace(shown, light=ambient_light(FACES).double().numpy())
    # Of the last nothing is in the picture.
    beside.pose[3, 3] = 3.0
    found = FaceRefiner(model, _Nobody()).relight(beside, crops)
    lit = _photographs(model, replace(found, pose=shown.pose))
    skin = crops[:3].max(3) > 0
    assert np.abs(lit[:3].astype(float) - crops[:3])[skin].mean() < 4.0
    before = _photographs(model, replace(beside, pose=shown.pose))
    assert np.abs(before[:3].astype(float) - crops[:3])[skin].mean() > 12.0
    np.testing.assert_allclose(found.light[3], beside.light[3], atol=1e-6)
    np.testing.assert_allclose(found.albedo[3], beside.albedo[3], atol=1e-6)


def test_what_lies_beyond_the_picture_is_no_shadow(
    model: MorphableModel, truth: FaceCoefficients
) -> None:
    shown = replace(truth, light=ambient_light(FACES).double().numpy())
    crops = _photographs(model, shown)
    whole = FaceRefiner(model, _Nobody()).relight(shown, crops)
    # Cut crops are black there.
    crops[:, :, : SIZE // 2] = 0
    cut = FaceRefiner(model, _Nobody()).relight(shown, crops)
    assert np.abs(whole.light[:, 0]).min() > 0.3
    np.testing.assert_allclose(cut.light[:, 0], whole.light[:, 0], rtol=0.15)
    np.testing.assert_allclose(cut.albedo, whole.albedo, atol=0.15)


def test_a_model_of_one_skin_is_lit_too(model: MorphableModel, truth: FaceCoefficients) -> None:
    plain = replace(model, albedo_basis=model.albedo_basis[..., :0], albedo_names=())
    faces = replace(truth, albedo=truth.albedo[:, :0])
    found = FaceRefiner(plain, _Nobody()).relight(faces, _photographs(plain, faces))
    assert np.isfinite(found.light).all() and found.albedo.shape == (FACES, 0)


def test_frames_of_one_person_stay_as_bright_as_they_were(model: MorphableModel) -> None:
    human = load_model("human")
    sizes = CoefficientSizes.of(human)
    light = ambient_light(3) * torch.tensor([0.5, 1.0, 1.4])[:, None, None]
    given = Coefficients.mean_faces(sizes, torch.zeros(3, 7), light)
    frames = FaceCoefficients.of(share_brightness(human, given))
    cheeks = human.vertices_of("left_cheek", "right_cheek")

    def shown(faces: FaceCoefficients) -> NDArray[np.float64]:
        skin = human.mean_albedo[cheeks].mean(0)
        return (skin + faces.albedo @ human.albedo_basis[cheeks].mean(0).T) * faces.light[:, 0]

    found = with_one_skin(human, frames)
    np.testing.assert_array_equal(found.albedo, frames.of_one_person().albedo)
    np.testing.assert_allclose(shown(found), shown(frames), rtol=1e-5)
    assert np.abs(shown(frames.of_one_person()) / shown(frames) - 1).max() > 0.2


def _photographs(model: MorphableModel, faces: FaceCoefficients) -> NDArray[np.uint8]:
    renderer = FaceRenderer(FaceDecoder(model), make_renderer("outline"), (SIZE, SIZE))
    drawn, _ = renderer(faces.tensors("cpu"))
    return (drawn.image.permute(0, 2, 3, 1).clamp(0, 1) * 255).round().byte().numpy()


def test_both_eyes_look_to_one_side(model: MorphableModel) -> None:
    human = load_model("human")
    sizes, names = CoefficientSizes.of(human), human.expression_names
    faces = Coefficients.mean_faces(sizes, torch.zeros(2, 7), torch.zeros(2, 9, 3))
    ways = {"eyeLookInLeft": (0.8, 0.6), "eyeLookInRight": (0.2, 0.6), "eyeLookUpLeft": (0.3, 0.3)}
    for unit, values in ways.items():
        faces.expression[:, names.index(unit)] = torch.tensor(values)
    found = align_gaze(human, faces).expression
    ways = {"eyeLookInLeft": (0.3, 0), "eyeLookOutRight": (0.3, 0), "eyeLookUpLeft": (0.3, 0.3)}
    expected = torch.zeros_like(found)
    for unit, values in ways.items():
        expected[:, names.index(unit)] = torch.tensor(values)
    torch.testing.assert_close(found, expected)
    assert align_gaze(model, faces) is faces


def test_none_refines_nothing(model: MorphableModel) -> None:
    assert make_refiner(model, "none") is None
    assert isinstance(make_refiner(model, "embedded"), FaceRefiner)


def test_faces_are_brought_to_sharpened_lips(model: MorphableModel) -> None:
    refiner = make_refiner(model, "embedded")
    assert refiner is not None
    faces = [skimage.data.astronaut()], [Box(180.0, 80.0, 85.0, 85.0)]
    found = refiner.detector.landmarks(*faces)[0]
    plain = make_landmark_detector("embedded").landmarks(*faces)[0]
    np.testing.assert_array_equal(found[:48], plain[:48])
    opened, usual = (abs(points[66, 1] - points[62, 1]) for points in (found, plain))
    assert opened > 1.1 * usual


def test_a_dark_photograph_is_dark_skin_and_little_light() -> None:
    """Three people whom a fit gave the mean skin and all the difference to the light."""
    human = load_model("human")
    cheeks = human.vertices_of("left_cheek", "right_cheek")
    shown = torch.tensor([0.5, 1.0, 1.4])
    light = ambient_light(3) * shown[:, None, None] / AMBIENT * 0.85
    zero = torch.zeros(3, human.albedo_basis.shape[2])
    parts = (torch.zeros(3, 60), torch.zeros(3, 52), zero, torch.zeros(3, 7), light)
    found = share_brightness(human, Coefficients(*parts))
    basis = torch.from_numpy(human.albedo_basis[cheeks].mean(0))
    before = torch.from_numpy(human.mean_albedo[cheeks].mean(0))
    skin = before + found.albedo @ basis.T
    # What is seen stays as it was.
    torch.testing.assert_close(skin[:, None] * found.light, before * light, atol=1e-4, rtol=1e-3)
    ratio = (skin / before).mean(1)
    assert 0.5 < ratio[0] < 0.8 and abs(ratio[1] - 1) < 0.02 and 1.1 < ratio[2] < 1.4
    assert (found.light[:, 0, 0].diff() > 0).all() and found.albedo.abs().max() < 3.1
    dark = Coefficients(*parts[:4], torch.zeros_like(light))
    assert share_brightness(human, dark).albedo.eq(0).all()
