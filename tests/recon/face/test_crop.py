"""Crops keep the framing convention wherever the face stands and however large it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facebench.recon.face.crop import LANDMARK_SHARE, Box, crop_square, upright_box
from facebench.recon.files.pictures import orientation_of, read_picture


def ramp(height: int, width: int) -> np.ndarray:
    """A frame whose red and green are the column's and the row's number."""
    rows, columns = np.indices((height, width))
    return np.stack([columns, rows, np.full_like(rows, 7)], axis=2).astype(np.uint8)


@given(
    left=st.floats(40, 110),
    top=st.floats(40, 110),
    width=st.floats(20, 60),
    height=st.floats(20, 60),
)
@settings(max_examples=50, deadline=None)
def test_crop_maps_pixels_by_the_box(left: float, top: float, width: float, height: float) -> None:
    size = 64
    crop = crop_square(ramp(256, 256), Box(left, top, width, height), size).astype(float)
    side = max(width, height) / LANDMARK_SHARE
    centres = (np.arange(size) + 0.5) / size * side
    columns = left + width / 2 - side / 2 + centres - 0.5
    rows = top + height / 2 - side / 2 + centres - 0.5
    inside = slice(4, -4)
    np.testing.assert_allclose(crop[32, inside, 0], columns[inside], atol=1.0)
    np.testing.assert_allclose(crop[inside, 32, 1], rows[inside], atol=1.0)


@pytest.mark.parametrize("box", [Box(60, 70, 50, 40), Box(60.4, 70.7, 30.5, 50.1)])
def test_the_box_fills_its_share_of_the_crop(box: Box) -> None:
    frame = np.zeros((256, 256, 3), np.uint8)
    low = np.array([box.top, box.left])
    high = low + np.array([box.height, box.width])
    (y0, x0), (y1, x1) = low.round().astype(int), high.round().astype(int)
    frame[y0:y1, x0:x1] = 255
    white = np.argwhere(crop_square(frame, box, 200)[..., 0] > 127)
    extent = white.max(axis=0) - white.min(axis=0) + 1
    assert extent.max() == pytest.approx(200 * LANDMARK_SHARE, abs=4)
    assert white.mean(axis=0) == pytest.approx([99.5, 99.5], abs=3)


def test_outside_of_the_frame_is_black() -> None:
    crop = crop_square(np.full((100, 100, 3), 200, np.uint8), Box(-31, -31, 62, 62), 100)
    assert (crop[:48, :].max(), crop[:, :48].max()) == (0, 0)
    assert crop[53:, 53:].min() == 200


@given(dx=st.integers(-15, 15), dy=st.integers(-15, 15))
@settings(max_examples=20, deadline=None)
def test_crop_moves_with_the_face(dx: int, dy: int) -> None:
    rng = np.random.default_rng(0)
    frame = np.zeros((160, 160, 3), np.uint8)
    frame[40:120, 40:120] = rng.integers(0, 255, (80, 80, 3))
    moved = np.roll(frame, (dy, dx), axis=(0, 1))
    first = crop_square(frame, Box(60, 60, 40, 40), 48)
    np.testing.assert_array_equal(first, crop_square(moved, Box(60 + dx, 60 + dy, 40, 40), 48))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_turned_as_its_picture_is(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = np.zeros((40, 70, 3), np.uint8)
    lying[5:15, 20:50] = 255
    file = io.BytesIO()
    Image.fromarray(lying).save(file, "PNG", exif=exif)
    upright = np.asarray(read_picture(file.getvalue(), "RGB"))
    rows, columns = (np.flatnonzero(upright[..., 0].any(axis=axis)) for axis in (1, 0))
    expected = Box(columns[0], rows[0], len(columns), len(rows))
    assert orientation_of(file.getvalue()) == orientation
    assert upright_box(Box(20, 5, 30, 10), orientation, upright) == expected
