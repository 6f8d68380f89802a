"""One person's faces in a video, and what is none of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from facebench.recon.face.coefficients import FaceCoefficients
from facebench.recon.face.crop import Box
from facebench.recon.portraits.reconstructor import FaceCrop
from facebench.recon.portraits.track import Track, TrackBuilder, drop_outliers
from facebench.recon.video.decode import Chunk


def track(boxes: list[Box]) -> Track:
    n = len(boxes)
    numbers = np.arange(n)
    faces = FaceCoefficients(
        *(np.tile(numbers[:, None], (1, k)).astype(float) for k in (2, 2, 2, 7)),
        np.zeros((n, 9, 3)),
    )
    frame = np.zeros((300, 400, 3), np.uint8)
    shots = tuple((i, FaceCrop(frame, boxes[i], 8)) for i in range(0, n, 3))
    return Track(numbers, boxes, faces, (300, 400), shots)


def walking(n: int) -> list[Box]:
    """Half its width in six frames, to and fro."""
    sideways = 100 + 60 * np.sin(np.arange(n) / 5)
    return [Box(float(x), 90.0 + 0.1 * i, 80.0, 80.0) for i, x in enumerate(sideways)]


def test_a_moving_face_is_kept_whole() -> None:
    found = drop_outliers(track(walking(60)))
    assert len(found.numbers) == 60 and not found.left_out


@pytest.mark.parametrize(
    "stray", [Box(260, 90, 80, 80), Box(100, 90, 20, 20), Box(60, 10, 200, 200)]
)
@pytest.mark.parametrize("at", [0, 6, 29])
def test_a_stray_detection_goes_with_all_that_belongs_to_it(stray: Box, at: int) -> None:
    boxes = walking(30)
    boxes[at] = stray
    found = drop_outliers(track(boxes))
    assert at not in found.numbers and found.left_out == 1
    np.testing.assert_array_equal(found.faces.pose[:, 0], found.numbers)
    assert found.boxes == [box for i, box in enumerate(boxes) if i != at]
    for index, shot in found.shots:
        assert shot.box == found.boxes[index]
    assert len(found.shots) == 10 - (at % 3 == 0)


def test_a_cut_to_another_place_is_followed() -> None:
    boxes = [Box(50, 50, 80, 80)] * 30 + [Box(250, 150, 60, 60)] * 30
    found = drop_outliers(track(boxes))
    assert found.numbers[-1] == 59 and found.left_out <= 2


@pytest.mark.parametrize("n", [1, 2])
def test_few_faces(n: int) -> None:
    assert len(drop_outliers(track(walking(n))).numbers) == n


def test_the_part_of_a_shot_that_lies_in_the_picture() -> None:
    frame = np.full((300, 400, 3), 200, np.uint8)
    shot = FaceCrop(frame, Box(-20, 100, 100, 100), 16)
    left, top, right, bottom = shot.filled
    bright = shot.portrait[..., 0] > 100
    columns, rows = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
    assert columns[0] == pytest.approx(left, abs=2) and columns[-1] + 1 == pytest.approx(
        right, abs=2
    )
    assert rows[0] == pytest.approx(top, abs=2) and rows[-1] + 1 == pytest.approx(bottom, abs=2)
    assert left > 10 and right == len(shot.portrait)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((0.0, 0.04, 2.0, 2.04), [0.0, 2.0, 2.04]),
        ((0.0, 0.04, 0.0, 0.04), [0.0, 0.2, 0.3]),
        ((0.0, 0.04, np.nan, 0.2), [0.0, 0.2, 0.3]),
        ((), [0.0, 0.2, 0.3]),
    ],
    ids=["as told", "begins anew", "not told of one", "not told"],
)
def test_times_are_the_film_s_own(told: tuple[float, ...], expected: list[float]) -> None:
    reconstructor = SimpleNamespace(crop_size=8)
    builder = TrackBuilder(reconstructor, None, boxes={})  # type: ignore[arg-type]
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    builder.add(Chunk("a", 0, False, frames, 0, "", times=told[:2]))
    builder.add(Chunk("a", 1, True, frames, 2, "", times=told[2:]))
    np.testing.assert_allclose(builder.times(np.array([0, 2, 3]), 10.0), expected)


def test_a_frame_that_cannot_be_converted_shifts_no_time() -> None:
    reconstructor = SimpleNamespace(crop_size=8)
    builder = TrackBuilder(reconstructor, None, boxes={})  # type: ignore[arg-type]
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    builder.add(Chunk("a", 0, False, frames, 0, "", times=(0.0, 0.04)))
    builder.add(Chunk("a", 1, True, frames, 3, "", times=(2.0, 2.04)))
    np.testing.assert_allclose(builder.times(np.array([1, 3, 4]), 10.0), [0.04, 2.0, 2.04])
