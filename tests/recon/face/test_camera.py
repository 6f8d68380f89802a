"""The weak-perspective camera against an independent rotation library and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from facebench.recon.face.imaging import project, rotate, rotation_matrix, to_pixels

ANGLES = arrays(np.float64, (4, 3), elements=st.floats(-math.pi, math.pi))


@given(ANGLES)
def test_rotations_are_proper(angles: np.ndarray) -> None:
    rotation = rotation_matrix(torch.tensor(angles))
    identity = torch.eye(3, dtype=torch.float64).expand(4, 3, 3)
    torch.testing.assert_close(rotation @ rotation.mT, identity, atol=1e-12, rtol=0.0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(4, dtype=torch.float64))


@given(ANGLES)
def test_rotations_follow_the_300w_lp_record(angles: np.ndarray) -> None:
    """R_x R_y R_z, each factor by the negative angle of the right-handed rotation."""
    expected = Rotation.from_euler("XYZ", -angles).as_matrix()
    np.testing.assert_allclose(rotation_matrix(torch.tensor(angles)), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("angles", "nose"),
    [
        ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
        ((0.0, math.pi / 2, 0.0), (-1.0, 0.0, 0.0)),
        ((math.pi / 2, 0.0, 0.0), (0.0, 1.0, 0.0)),
        ((0.0, 0.0, math.pi / 2), (0.0, 0.0, 1.0)),
    ],
)
def test_the_nose_turns_as_documented(angles: tuple[float, ...], nose: tuple[float, ...]) -> None:
    """Positive yaw to the viewer's left, positive pitch upwards, roll about the view."""
    turned = rotation_matrix(torch.tensor([angles])) @ torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(turned, torch.tensor([nose]), atol=1e-6, rtol=0.0)


def test_rotating_vertex_major_vectors_is_the_matrix_product() -> None:
    torch.manual_seed(0)
    vertices = torch.randn(11, 3, 4, dtype=torch.float64)
    rotation = rotation_matrix(torch.randn(4, 3, dtype=torch.float64))
    expected = torch.einsum("bij,vjb->vib", rotation, vertices)
    torch.testing.assert_close(rotate(vertices, rotation), expected)


def test_projection_scales_then_shifts() -> None:
    vertices = torch.tensor([[[10.0], [20.0], [30.0]]])
    pose = torch.tensor([[0.3, 0.2, 0.1, 0.5, -0.25, 2.0, 0.01]])
    expected = torch.tensor([[[0.6], [-0.05], [2.3]]])
    torch.testing.assert_close(project(vertices, pose), expected)


@pytest.mark.parametrize("size", [(224, 224), (120, 200), (201, 97)])
def test_pixel_centres_follow_the_definition(size: tuple[int, int]) -> None:
    height, width = size
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    short = min(size)
    x = (2.0 * column + 1 - width) / short
    y = (height - 1 - 2.0 * row) / short
    points = torch.stack([x, y], dim=-1).reshape(-1, 2, 1)
    pixels = to_pixels(points, size)[..., 0]
    expected = torch.stack([column, row], dim=-1).reshape(-1, 2)
    torch.testing.assert_close(pixels, expected.float(), atol=1e-3, rtol=0.0)


def test_the_origin_is_the_middle_of_the_image() -> None:
    middle = to_pixels(torch.zeros(1, 3, 1), (100, 200))
    torch.testing.assert_close(middle, torch.tensor([[[99.5], [49.5]]]))
