"""Cutting out faces: pixels, landmarks and mask must keep to one another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_photographs import SIZE, person

from facebench.recon.face.crop import LANDMARK_SHARE, Box, landmark_box
from facebench.recon.preparation.patch import Framed, cut_patch, frame_face
from facebench.recon.synthetic.appearance import CLASS


def framed(number: int, size: int = 112) -> Framed:
    face = person(number)
    patch = cut_patch(face.image, face.mask, landmark_box(face.landmarks), size)
    return frame_face(patch, patch.points_inside(face.landmarks), size)


@given(
    left=st.floats(-50, 150),
    top=st.floats(-50, 150),
    side=st.floats(5, 900),
    size=st.integers(32, 224),
)
@settings(max_examples=40, deadline=None)
def test_points_find_their_way_back(left: float, top: float, side: float, size: int) -> None:
    frame = np.zeros((120, 160, 3), np.uint8)
    patch = cut_patch(frame, None, Box(left, top, side, side / 2), size)
    points = np.array([[0, 0], [159, 119], [left, top]], np.float32)
    back = patch.points_outside(patch.points_inside(points))
    np.testing.assert_allclose(back, points, atol=2e-3)
    box = patch.box_inside(Box(left, top, side, side / 2))
    assert box.width == pytest.approx(side * patch.scale)
    assert len(patch.pixels) <= 1.5 * 2 * size + 1


def test_a_moderate_face_is_copied_not_resampled() -> None:
    face = person(1)
    patch = cut_patch(face.image, face.mask, landmark_box(face.landmarks), 224)
    assert patch.scale == 1.0
    x, y = 100 - int(patch.window.left), 90 - int(patch.window.top)
    np.testing.assert_array_equal(patch.pixels[y, x], face.image[90, 100])
    np.testing.assert_array_equal(patch.mask[y, x], face.mask[90, 100])


def test_the_face_stands_where_training_expects_it() -> None:
    box = landmark_box(framed(2).landmarks)
    assert max(box.width, box.height) == pytest.approx(LANDMARK_SHARE * 112, rel=1e-5)
    assert box.left + box.width / 2 == pytest.approx(56, abs=1e-3)
    assert box.top + box.height / 2 == pytest.approx(56, abs=1e-3)


def test_landmarks_and_mask_stay_on_the_same_pixels() -> None:
    """A dot painted at every landmark must be found again at the moved landmark."""
    face = person(3)
    image, mask = np.zeros_like(face.image), np.zeros_like(face.mask)
    for x, y in face.landmarks.round().astype(int)[27:60]:
        image[y - 1 : y + 2, x - 1 : x + 2] = 255
        mask[y - 1 : y + 2, x - 1 : x + 2] = 1
    patch = cut_patch(image, mask, landmark_box(face.landmarks), 224)
    found = frame_face(patch, patch.points_inside(face.landmarks.round()), 224)
    at = found.landmarks[27:60].round().astype(int)
    assert found.image[at[:, 1], at[:, 0]].min() > 150
    assert found.mask is not None and found.mask[at[:, 1], at[:, 0]].all()
    bright = found.image[..., 0] > 128
    overlap = (bright & (found.mask > 0)).sum() / (bright | (found.mask > 0)).sum()
    assert overlap > 0.8


def test_what_the_photograph_does_not_show_is_background() -> None:
    face = person(4)
    cut = face.image[:, 60:].copy(), np.full_like(face.mask[:, 60:], CLASS["skin"])
    landmarks = face.landmarks - [60, 0]
    patch = cut_patch(*cut, landmark_box(landmarks), 224)
    found = frame_face(patch, patch.points_inside(landmarks.astype(np.float32)), 224)
    assert found.mask is not None
    np.testing.assert_array_equal(found.mask > 0, found.shown)
    assert 0.1 < 1 - found.shown.mean() < 0.9
    assert found.image[~found.shown].mean() < 3
    assert found.box.left + found.box.width == pytest.approx(landmarks[:, 0].max() + 0.5, abs=0.01)


def test_a_large_face_is_shrunk_to_what_shows() -> None:
    face = person(5)
    large = np.repeat(np.repeat(face.image, 8, axis=0), 8, axis=1)
    landmarks = ((face.landmarks + 0.5) * 8 - 0.5).astype(np.float32)
    patch = cut_patch(large, None, landmark_box(landmarks), 64)
    assert len(patch.pixels) == 192
    found = frame_face(patch, patch.points_inside(landmarks), 64)
    direct = cut_patch(face.image, None, landmark_box(face.landmarks), 64)
    expected = frame_face(direct, direct.points_inside(face.landmarks), 64)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=0.01)
    difference = np.abs(found.image.astype(int) - expected.image)
    assert difference.mean() < 3 and large.shape[0] == SIZE * 8
