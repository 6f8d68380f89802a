"""Photographs, masks and landmark files from their bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from labelled_photographs import person, pts
from PIL import Image

from facebench.recon.preparation.candidates import decode_landmarks, decode_mask, decode_photograph
from facebench.recon.preparation.rows import Reason, RejectedError


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_as_the_camera_was_held(orientation: int) -> None:
    upright = np.zeros((20, 30, 3), np.uint8)
    upright[:5, :5] = 255, 0, 0
    upright[-5:, -5:] = 0, 0, 255
    # What a camera stores is what these turn back, by the table of the EXIF standard.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    np.testing.assert_array_equal(decode_photograph(content), upright)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_kind_of_colour_becomes_rgb(mode: str) -> None:
    picture = Image.fromarray(person(0).image).convert(mode)
    decoded = decode_photograph(encoded(picture, "TIFF"))
    assert decoded.shape == (200, 200, 3) and decoded.dtype == np.uint8


def test_damaged_photographs_are_rejected_with_a_reason() -> None:
    whole = encoded(Image.fromarray(person(0).image), "JPEG")
    for content, told in (
        (whole[: len(whole) // 2], "truncated"),
        (b"nothing of the kind", "not a picture"),
        (b"", "the file is empty"),
    ):
        with pytest.raises(RejectedError, match=told) as caught:
            decode_photograph(content)
        assert caught.value.reason is Reason.UNREADABLE


def test_pts_files_count_from_one_and_text_from_zero() -> None:
    landmarks = person(0).landmarks
    read = decode_landmarks(pts(landmarks).encode(), "a.PTS")
    np.testing.assert_allclose(read[0], landmarks, atol=1e-3)
    two = "\n".join(f"{x},{y}" for x, y in np.concatenate([landmarks, landmarks + 5]))
    np.testing.assert_allclose(decode_landmarks(two.encode(), "a.txt")[1], landmarks + 5, atol=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 2\n" * 67,
        "1 2 3\n" * 68,
        "1 nan\n" * 68,
        "a b\n" * 68,
        "1 2\n3\n",
        "é",
        "1e40 2\n" * 68,
    ],
)
def test_other_landmark_files_are_rejected(text: str) -> None:
    with pytest.raises(RejectedError) as caught:
        decode_landmarks(text.encode(), "a.txt")
    assert caught.value.reason is Reason.SIDECAR
    with pytest.raises(RejectedError):
        decode_landmarks(text.encode(), "a.pts")


def test_masks_take_the_size_of_their_photograph() -> None:
    mask = person(0).mask
    half = Image.fromarray(mask).resize((100, 100), Image.Resampling.NEAREST)
    read = decode_mask(encoded(half, "PNG"), (200, 200))
    assert read.shape == (200, 200)
    np.testing.assert_array_equal(read[::2, ::2], np.asarray(half))


def test_masks_that_are_none_are_rejected() -> None:
    mask = Image.fromarray(person(0).mask)
    for content, told in (
        (encoded(mask.convert("RGB"), "PNG"), "colours"),
        (encoded(mask.resize((200, 150)), "PNG"), "200 x 150, not 200 x 200"),
        (encoded(mask.point(lambda value: value + 19), "PNG"), "the last is 18"),
        (b"?", "mask"),
    ):
        with pytest.raises(RejectedError, match=told):
            decode_mask(content, (200, 200))
