"""Measures against closed forms, and limits on what they were set for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from labelled_photographs import person
from PIL import Image, ImageFilter

from facebench.recon.face.crop import landmark_box
from facebench.recon.preparation.candidates import PreparationSettings
from facebench.recon.preparation.patch import Framed, cut_patch, frame_face, sharpness
from facebench.recon.preparation.rows import Reason, RejectedError
from facebench.recon.preparation.selection import check_light_and_detail, check_uncut


def framed(number: int) -> Framed:
    face = person(number)
    patch = cut_patch(face.image, None, landmark_box(face.landmarks), 224)
    return frame_face(patch, patch.points_inside(face.landmarks), 224)


def changed(face: Framed, picture: Image.Image) -> Framed:
    return replace(face, image=np.asarray(picture))


def reason(face: Framed) -> Reason | None:
    try:
        check_light_and_detail(face, PreparationSettings())
    except RejectedError as error:
        return error.reason
    return None


def test_sharpness_of_a_wave_is_its_closed_form() -> None:
    """The Laplacian of sin(wx) is (2 cos w - 2) sin(wx); its variance that squared over 2."""
    x = np.arange(2000)
    wave = 2 * np.pi / 10
    grey = np.tile(100 + 50 * np.sqrt(2) * np.sin(wave * x), (40, 1)).astype(np.float32)
    expected = (2 * np.cos(wave) - 2) ** 2 * 50**2
    assert sharpness(grey) == pytest.approx(expected, rel=0.01)


def test_sharpness_does_not_depend_on_light() -> None:
    grey = np.random.default_rng(0).uniform(0, 200, (60, 60)).astype(np.float32)
    assert sharpness(grey * 0.3 + 20) == pytest.approx(sharpness(grey), rel=1e-4)
    assert sharpness(np.full((9, 9), 7.0, np.float32)) == 0.0


def test_blur_lowers_sharpness_step_by_step() -> None:
    face = framed(1)
    picture = Image.fromarray(face.image)
    blurred = [changed(face, picture.filter(ImageFilter.GaussianBlur(r))) for r in (0, 1, 2, 4, 8)]
    measured = [one.sharpness for one in blurred]
    assert measured == sorted(measured, reverse=True)
    assert reason(blurred[0]) is None and reason(blurred[-1]) is Reason.BLURRED


def test_light_is_judged_on_the_face() -> None:
    face = framed(1)
    picture = Image.fromarray(face.image)
    assert reason(changed(face, picture.point(lambda value: value * 0.1))) is Reason.TOO_DARK
    burnt = picture.point(lambda value: min(255, value * 6))
    assert reason(changed(face, burnt)) is Reason.OVER_EXPOSED
    dark_around = face.image.copy()
    dark_around[:30] = dark_around[-30:] = 0
    assert reason(replace(face, image=dark_around)) is None


def test_small_faces_are_told_by_their_size_in_the_photograph() -> None:
    face = framed(1)
    small = replace(face, box=replace(face.box, width=63.0, height=40.0))
    assert reason(small) is Reason.TOO_SMALL
    assert reason(replace(face, box=replace(face.box, width=65.0, height=40.0))) is None


def test_landmarks_beyond_the_border_are_counted() -> None:
    points = person(1).landmarks.astype(float)
    check_uncut(points, (200, 200), 0.0)
    shifted = points - [points[:, 0].min() + 10, 0]
    beyond = int((shifted[:, 0] < 0).sum())
    with pytest.raises(RejectedError, match=f"{beyond} of 68 landmarks are outside"):
        check_uncut(shifted, (200, 200), 0.0)
    check_uncut(shifted, (200, 200), 0.2)
    with pytest.raises(RejectedError):
        check_uncut(points, (int(points[:, 1].max()) - 3, 200), 0.0)
