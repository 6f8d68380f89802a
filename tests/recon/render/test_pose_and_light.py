"""What a method leaves open is found where the truth is known; pictures show what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.recon.face.crop import mean_face_pose
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render.face_in_photograph import (
    EVEN,
    FaceArtist,
    FaceInPhotograph,
    complete_pose_and_light,
    framing_pose,
    landmark_pixels,
    project_face,
    shading,
)


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model("embedded")


@pytest.fixture(scope="module")
def known(model: MorphableModel) -> FaceInPhotograph:
    """A turned and tilted face under a coloured light from a side."""
    draw = np.random.default_rng(3)
    mesh = model.mesh(draw.standard_normal(12), draw.standard_normal(9) / 3)
    pose = mean_face_pose(model)
    pose[:3] = 0.1, -0.4, 0.05
    light = EVEN + np.outer([0, 0, 0.3, 0.4, 0, 0, 0, 0, 0], [1.0, 0.9, 0.8])
    return FaceInPhotograph(mesh, np.asarray(mesh.vertices), pose, light)


def test_a_pose_is_found_from_the_landmarks(known: FaceInPhotograph) -> None:
    crop = np.zeros((128, 128, 3), np.uint8)
    again = complete_pose_and_light(replace(known, pose=None), crop, landmark_pixels(known, 128))
    assert np.allclose(again.pose, known.pose, atol=1e-5)


def test_a_light_is_found_from_the_colours(known: FaceInPhotograph) -> None:
    crop = FaceArtist(256).overlay(known, np.zeros((256, 256, 3), np.uint8))
    again = complete_pose_and_light(replace(known, light=None), crop, landmark_pixels(known, 256))
    _, normals = project_face(known)
    facing = normals[:, 2] > 0.5
    true, found = (shading(normals, one.light)[facing] for one in (known, again))  # type: ignore[arg-type]
    assert np.median(np.abs(found / true - 1.0)) < 0.02


def test_what_a_method_says_is_left_alone(known: FaceInPhotograph) -> None:
    nowhere = np.full((68, 2), np.nan)
    again = complete_pose_and_light(known, np.zeros((8, 8, 3), np.uint8), nowhere)
    assert again.pose is known.pose and again.light is known.light


def test_an_overlay_leaves_the_rest_of_the_photograph(known: FaceInPhotograph) -> None:
    crop = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    artist = FaceArtist(96, supersampling=2)
    drawn = artist.overlay(known, np.repeat(np.repeat(crop, 2, 0), 2, 1))
    untouched = (drawn == crop).all(axis=2)
    assert untouched[:, :5].all() and 0.1 < untouched.mean() < 0.9


def test_a_turned_face_stands_in_the_middle(model: MorphableModel) -> None:
    mesh = model.mesh()
    for yaw in (-0.9, 0.0, 0.7):
        shown, _ = project_face(FaceInPhotograph(mesh, mesh.vertices, framing_pose(mesh, yaw)))
        low, high = shown[:, :2].min(axis=0), shown[:, :2].max(axis=0)
        assert np.allclose(low + high, 0.0, atol=1e-6) and high.max() <= 0.97 + 1e-9


def test_positive_yaw_turns_the_nose_to_the_viewers_left(model: MorphableModel) -> None:
    mesh = model.mesh()
    shown, _ = project_face(FaceInPhotograph(mesh, mesh.vertices, framing_pose(mesh, 0.6)))
    assert mesh.landmarks is not None
    assert shown[mesh.landmarks[30], 0] < shown[mesh.landmarks[[36, 45]], 0].mean()


def test_given_colours_are_those_drawn(known: FaceInPhotograph) -> None:
    red = np.tile([1.0, 0.0, 0.0], (len(known.mesh.vertices), 1))
    drawn = FaceArtist(64).texture(known, red)
    assert (drawn[32, 32] == (255, 0, 0)).all() and (drawn[0, 0] == 255).all()
