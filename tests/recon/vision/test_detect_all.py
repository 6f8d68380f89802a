"""Several faces in a picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, coffee

from facebench.recon.face.crop import Box
from facebench.recon.vision.detect import CascadeDetector


@pytest.fixture(scope="module")
def detector() -> CascadeDetector:
    return CascadeDetector()


def pasted(*places: tuple[int, int, float]) -> np.ndarray:
    """The photographed face at (left, top) and a size, on grey."""
    sheet = Image.new("RGB", (900, 500), (120, 120, 120))
    face = Image.fromarray(astronaut()).crop((120, 20, 320, 220))
    for left, top, factor in places:
        side = round(200 * factor)
        sheet.paste(face.resize((side, side), Image.Resampling.LANCZOS), (left, top))
    return np.asarray(sheet)


def middle(box: Box) -> np.ndarray:
    return np.array([box.left + box.width / 2, box.top + box.height / 2])


def test_each_face_is_found_once_the_prominent_first(detector: CascadeDetector) -> None:
    places = [(60, 150, 1.2), (380, 100, 1.5), (700, 200, 0.8)]
    picture = pasted(*places)
    boxes = detector.detect_all(picture)
    assert boxes[0] == detector.detect(picture)
    assert len(boxes) == 3
    expected = [
        np.array([left, top]) + np.array([102, 125]) * factor for left, top, factor in places
    ]
    for point, (_, _, factor) in zip(expected, places, strict=True):
        near = [box for box in boxes if np.linalg.norm(middle(box) - point) < 30 * factor]
        assert len(near) == 1
        assert near[0].width == pytest.approx(83 * factor, rel=0.2)
    widths = [box.width for box in boxes[1:]]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("picture", [astronaut(), coffee()[:200, :200], pasted((300, 100, 1.5))])
def test_one_face_or_none_is_what_detect_finds(
    detector: CascadeDetector, picture: np.ndarray
) -> None:
    one = detector.detect(picture)
    assert detector.detect_all(picture)[:1] == ([] if one is None else [one])


@pytest.mark.parametrize("degrees", [25.0, -25.0])
def test_a_tilted_face_is_found_where_it_lies(detector: CascadeDetector, degrees: float) -> None:
    upright = Image.fromarray(pasted((330, 120, 1.2)))
    # About the face itself: its middle stays, and with it where the box must be.
    middle_of_face = (330 + 102 * 1.2, 120 + 125 * 1.2)
    turned = upright.rotate(degrees, center=middle_of_face, fillcolor=(120, 120, 120))
    assert detector.detect_all(np.asarray(turned)) == []
    (box,) = CascadeDetector(tilted=True).detect_all(np.asarray(turned))
    assert np.linalg.norm(middle(box) - middle_of_face) < 30
    assert box.width == pytest.approx(83 * 1.2, rel=0.2)


def test_looking_for_tilted_faces_changes_no_upright_one(detector: CascadeDetector) -> None:
    picture = pasted((60, 150, 1.2), (380, 100, 1.5))
    assert CascadeDetector(tilted=True).detect_all(picture) == detector.detect_all(picture)
