"""The warp onto the template: exact, batched, differentiable, free of aliasing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform, warp

from facebench.recon.face.labels import TEMPLATE
from facebench.recon.vision.recognition import (
    align_faces,
    closest_similarity,
    five_points,
    template,
)

SIDE = 112


def placed(scale: float, turn: float, x: float, y: float) -> torch.Tensor:
    """The template's points, (1, 5, 2), under a similarity about the point (100, 100)."""
    points = (template(SIDE) - 56) * scale
    rotation = torch.tensor(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]], dtype=torch.float64
    )
    return (points @ rotation.T + torch.tensor([100 + x, 100 + y], dtype=torch.float64))[None]


@given(
    scale=st.floats(0.05, 20),
    turn=st.floats(-math.pi, math.pi),
    x=st.floats(-200, 200),
    y=st.floats(-200, 200),
)
@settings(max_examples=60, deadline=None)
def test_known_points_come_to_lie_on_the_template(
    scale: float, turn: float, x: float, y: float
) -> None:
    points = placed(scale, turn, x, y)
    place = closest_similarity(points, template(SIDE))
    torch.testing.assert_close(place.apply(points)[0], template(SIDE), atol=1e-4, rtol=0)
    torch.testing.assert_close(place.inverse().apply(template(SIDE)), points, atol=1e-4, rtol=0)
    assert place.scale().item() == pytest.approx(1 / scale)


def test_noisy_points_are_fitted_as_an_independent_least_squares_does() -> None:
    """Against the linear system of the four numbers, solved by numpy."""
    points = placed(1.7, 0.4, 5, -9) + torch.randn(1, 5, 2, dtype=torch.float64) * 4
    x, y = points[0].numpy().T
    one, none = np.ones(5), np.zeros(5)
    system = np.concatenate([np.stack([x, -y, one, none], 1), np.stack([y, x, none, one], 1)])
    target = template(SIDE).numpy()
    solution, *_ = np.linalg.lstsq(system, np.concatenate([target[:, 0], target[:, 1]]))
    place = closest_similarity(points, template(SIDE))
    np.testing.assert_allclose(torch.cat([place.linear, place.offset], 1)[0], solution, rtol=1e-9)


def test_an_unknown_point_does_not_count() -> None:
    points = placed(1.3, -0.3, 7, 2)
    points[0, 2] = torch.nan
    place = closest_similarity(points, template(SIDE))
    known = [0, 1, 3, 4]
    torch.testing.assert_close(place.apply(points)[0, known], template(SIDE)[known])


@pytest.mark.parametrize("known", [0, 1])
def test_without_two_points_the_whole_image_is_taken(known: int) -> None:
    image = torch.rand(1, 3, 60, 60).repeat_interleave(4, 2).repeat_interleave(4, 3)
    points = torch.full((1, 5, 2), torch.nan)
    points[0, :known] = 30.0
    faces = align_faces(image, points, 60)
    assert faces.isfinite().all()
    # Trilinear sampling at a shrinking of 4 is the mean of 4 x 4, here one colour.
    inside = slice(1, -1)
    expected = image[..., ::4, ::4]
    torch.testing.assert_close(
        faces[..., inside, inside], expected[..., inside, inside], atol=1e-5, rtol=0
    )


def test_pixels_are_those_of_scikit_image_where_nothing_shrinks() -> None:
    points = placed(0.8, 0.3, 4, -6)
    ramp = torch.rand(1, 1, 20, 20, dtype=torch.float64)
    image = torch.nn.functional.interpolate(ramp, (200, 210), mode="bilinear")
    oracle = SimilarityTransform.from_estimate(points[0].numpy(), np.array(TEMPLATE))
    aligned = align_faces(image, points, SIDE)[0, 0].numpy()
    # scikit-image's points and ours are both at pixel centres.
    expected = warp(image[0, 0].numpy(), oracle.inverse, output_shape=(SIDE, SIDE), order=1)
    np.testing.assert_allclose(aligned, expected, atol=2e-6)


def test_fine_detail_is_averaged_when_a_face_shrinks() -> None:
    rows, columns = torch.meshgrid(torch.arange(512), torch.arange(512), indexing="ij")
    checkers = ((rows + columns) % 2).float().expand(1, 3, 512, 512)
    points = placed(3.6, 0.2, 156, 156)
    inside = slice(8, -8)
    faces = align_faces(checkers, points, SIDE)[..., inside, inside]
    assert (faces - 0.5).abs().max() < 0.01


def test_a_batch_is_its_faces_one_by_one() -> None:
    images = torch.rand(3, 3, 224, 224)
    points = torch.cat([placed(0.6, 0.5, 3, 3), placed(1.9, -0.2, 12, 8), placed(1.2, 0.1, 0, 5)])
    together = align_faces(images, points, SIDE)
    alone = [align_faces(images[i : i + 1], points[i : i + 1], SIDE) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), atol=0, rtol=0)


@pytest.mark.parametrize("scale", [0.7, 1.5, 2.9])
def test_the_gradient_is_that_of_finite_differences(scale: float) -> None:
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(2, 2, 96, 90, dtype=torch.float64, generator=generator, requires_grad=True)
    points = torch.cat([placed(scale, 0.4, -50, -52), placed(scale, -1.0, -55, -50)])
    weights = torch.rand(2, 2, 32, 32, dtype=torch.float64, generator=generator)
    way = torch.rand(image.shape, dtype=torch.float64, generator=generator)

    def value(pixels: torch.Tensor) -> torch.Tensor:
        return (align_faces(pixels, points, 32).square() * weights).sum()

    value(image).backward()
    step = 1e-5
    with torch.no_grad():
        measured = (value(image + step * way) - value(image - step * way)) / (2 * step)
    assert (image.grad * way).sum().item() == pytest.approx(measured.item(), rel=1e-7)


def test_five_points_of_68_are_eye_middles_nose_tip_and_mouth_corners() -> None:
    landmarks = torch.rand(68, 2, 4)
    points = five_points(landmarks)
    for person in range(4):
        own = landmarks[:, :, person]
        expected = [(own[36] + own[39]) / 2, (own[42] + own[45]) / 2, own[30], own[48], own[54]]
        torch.testing.assert_close(points[person], torch.stack(expected))


def test_a_template_of_another_side_covers_the_same_share_of_the_picture() -> None:
    torch.testing.assert_close(template(SIDE), torch.tensor(TEMPLATE, dtype=torch.float64))
    torch.testing.assert_close((template(56) + 0.5) * 2, template(112) + 0.5)
