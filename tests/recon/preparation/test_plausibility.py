"""Landmarks of faces against points that are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_photographs import person
from scipy.spatial.transform import Rotation

from facebench.recon.face.crop import Box, box_overlap
from facebench.recon.preparation.labelling import mean_landmarks
from facebench.recon.preparation.rows import RejectedError
from facebench.recon.preparation.selection import check_landmarks, check_overlap, fit_affine_camera

LIMIT = 0.10


@given(
    yaw=st.floats(-80, 80),
    pitch=st.floats(-40, 40),
    roll=st.floats(-80, 80),
    scale=st.floats(0.1, 10),
)
@settings(max_examples=40, deadline=None)
def test_the_mean_face_seen_from_anywhere_fits_exactly(
    yaw: float, pitch: float, roll: float, scale: float
) -> None:
    turn = Rotation.from_euler("yxz", [yaw, pitch, roll], degrees=True).as_matrix()
    seen = scale * (mean_landmarks() @ turn.T)[:, :2] * [1, -1] + [300, 200]
    misfit, frontness, uprightness = fit_affine_camera(seen, mean_landmarks())
    assert misfit < 1e-9
    assert frontness == pytest.approx(turn[2, 2], abs=1e-6)
    assert uprightness == pytest.approx(turn[1, 1], abs=1e-6)


def test_faces_pass() -> None:
    for number in range(8):
        check_landmarks(person(number).landmarks, mean_landmarks(), LIMIT)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda p: p * [-1, 1], "left and right"),
        (lambda p: -p, "upside down"),
        (lambda p: np.where(np.arange(68)[:, None] == 3, np.nan, p), "not finite"),
        (lambda p: p[np.random.default_rng(0).permutation(68)], "off any view"),
        (lambda p: np.random.default_rng(0).uniform(0, 200, p.shape), "off any view"),
        (lambda p: np.zeros_like(p), "one place"),
    ],
)
def test_points_that_are_no_face_are_rejected(wrong: object, told: str) -> None:
    points = wrong(person(0).landmarks.astype(float))  # type: ignore[operator]
    with pytest.raises(RejectedError, match=told):
        check_landmarks(points, mean_landmarks(), LIMIT)


def test_overlap_of_boxes() -> None:
    a = Box(0, 0, 10, 10)
    assert box_overlap(a, a) == 1.0
    assert box_overlap(a, Box(5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert box_overlap(a, Box(20, 20, 5, 5)) == 0.0
    with pytest.raises(RejectedError, match="0% overlap"):
        check_overlap(a, Box(20, 0, 10, 10))
