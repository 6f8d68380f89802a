"""MTCNN's windows: which are one face, and, with the published weights, where faces are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from facebench.recon.face.crop import Box
from facebench.recon.vision.mtcnn import MtcnnDetector, suppress
from facebench.recon.weights.cache import load_fetched

SIDES = (181.05, 62.16, 267.75, 172.05)
POINTS = ((205.01, 101.73), (246.76, 103.71), (224.67, 128.96), (201.72, 139.25), (245.27, 141.86))


@pytest.fixture(scope="module")
def detector(fetched: None) -> MtcnnDetector:
    return MtcnnDetector(load_fetched("mtcnn")[1])


def _overlap(first: torch.Tensor, second: torch.Tensor) -> float:
    low, high = torch.maximum(first[:2], second[:2]), torch.minimum(first[2:], second[2:])
    both = (high - low).clamp_min(0).prod()
    areas = [(one[2:] - one[:2]).prod() for one in (first, second)]
    return float(both / (areas[0] + areas[1] - both))


def test_windows_of_one_face_leave_the_surest() -> None:
    generator = torch.Generator().manual_seed(2)
    corner = torch.rand(60, 2, generator=generator) * 50
    sides = torch.cat([corner, corner + 20 + 20 * torch.rand(60, 2, generator=generator)], 1)
    scores = torch.rand(60, generator=generator)
    kept = suppress(sides, scores, 0.3).tolist()
    assert kept == sorted(kept, key=lambda number: -scores[number])
    for place, number in enumerate(kept):
        assert all(_overlap(sides[number], sides[other]) <= 0.3 for other in kept[:place])
    # Whoever was dropped is covered by a surer one that was kept.
    for number in set(range(60)) - set(kept):
        surer = [other for other in kept if scores[other] > scores[number]]
        assert max(_overlap(sides[number], sides[other]) for other in surer) > 0.3


def test_a_window_inside_another_is_the_same_face() -> None:
    sides = torch.tensor([[0.0, 0.0, 99.0, 99.0], [30.0, 30.0, 49.0, 49.0]])
    scores = torch.tensor([0.9, 0.95])
    assert suppress(sides, scores, 0.7).tolist() == [1, 0]
    assert suppress(sides, scores, 0.7, over_smaller=True).tolist() == [1]


def test_equals_the_forward_pass_of_the_package(detector: MtcnnDetector) -> None:
    found = detector.windows(astronaut())
    assert len(found.sides) == 1
    # Numbers of facenet-pytorch 2.6.0's own MTCNN.detect.
    np.testing.assert_allclose(found.sides[0].numpy(), SIDES, atol=0.01)
    np.testing.assert_allclose(found.points[0].numpy(), POINTS, atol=0.01)


def test_the_box_scales_with_the_picture_and_moves_with_it(detector: MtcnnDetector) -> None:
    (face,) = detector.detect_all(astronaut())
    # 2.5 times as large it is searched shrunk again.
    large = np.kron(astronaut(), np.ones((5, 5, 1), np.uint8))[::2, ::2]
    (other,) = detector.detect_all(np.ascontiguousarray(large))
    assert other.width / 2.5 == pytest.approx(face.width, rel=0.08)
    assert other.left / 2.5 == pytest.approx(face.left, abs=0.05 * face.width)


def test_nothing_is_found_in_nothing(detector: MtcnnDetector) -> None:
    assert detector.detect_all(np.zeros((200, 300, 3), np.uint8)) == []
    assert detector.detect_all(np.full((8, 9, 3), 200, np.uint8)) == []
    assert detector.detect(np.zeros((64, 64, 3), np.uint8)) is None


def test_a_followed_face_is_the_detected_one(detector: MtcnnDetector) -> None:
    picture = astronaut()
    moved = np.roll(picture, (4, 7), axis=(0, 1))
    last, found = detector.detect(picture), detector.detect(moved)
    assert last is not None and found is not None
    followed = detector.follow(moved, last)
    assert followed is not None
    np.testing.assert_allclose(
        [followed.left, followed.top, followed.width],
        [found.left, found.top, found.width],
        atol=0.06 * found.width,
    )
    assert detector.follow(np.zeros_like(picture), last) is None
    assert detector.follow(picture, Box(-400.0, 900.0, 30.0, 30.0)) is None
