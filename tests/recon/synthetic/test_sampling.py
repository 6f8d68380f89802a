"""The distribution of people, poses and lights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.recon.face.imaging import illuminate
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.synthetic.appearance import (
    ambient,
    directional_light,
    random_angles,
    random_expression,
    random_light,
)
from facebench.recon.synthetic.photograph import random_stream


def test_streams_are_independent_by_name_and_repeatable() -> None:
    draw = random_stream(1, "faces", 4).standard_normal(4)
    np.testing.assert_array_equal(draw, random_stream(1, "faces", 4).standard_normal(4))
    for other in ((2, "faces", 4), (1, "micc", 4), (1, "faces", 5), (1, "faces", 4, 0)):
        assert np.abs(draw - random_stream(*other).standard_normal(4)).max() > 1e-3


def test_poses_stay_in_their_limits() -> None:
    generator = np.random.default_rng(0)
    angles = np.degrees(torch.stack([random_angles(generator) for _ in range(500)]))
    pitch, yaw, roll = np.abs(angles.numpy()).T
    assert pitch.max() <= 20.01 and yaw.max() <= 60.01 and roll.max() <= 15.01
    assert (yaw < 40).mean() > 0.85
    assert yaw.max() > 45


def test_expressions_are_often_near_neutral_and_never_beyond_a_face(model: MorphableModel) -> None:
    generator = np.random.default_rng(0)
    drawn = np.stack([random_expression(generator, model) for _ in range(200)])
    strength = np.linalg.norm(drawn, axis=1)
    assert np.quantile(strength, 0.2) < 0.35 * np.quantile(strength, 0.9)
    moved = np.einsum("vck,nk->nvc", model.expression_basis[::7], drawn)
    assert np.linalg.norm(moved, axis=2).max() < 22.5


def test_a_distant_light_is_the_cosine_in_nine_harmonics() -> None:
    """Legendre series of max(cos, 0) up to degree 2 (Basri and Jacobs 2003)."""
    light = directional_light(torch.tensor([0.0, 0.0, 1.0]), torch.ones(3))
    angle = torch.linspace(0, np.pi, 60)
    normals = torch.stack([angle.sin(), torch.zeros(60), angle.cos()], 1)[..., None]
    lit = illuminate(torch.ones(60, 3, 1), normals, light[None])[:, 0, 0]
    cosine = angle.cos()
    series = 1 / 4 + cosine / 2 + 5 / 32 * (3 * cosine**2 - 1)
    np.testing.assert_allclose(lit, series, atol=1e-5)
    np.testing.assert_allclose(series, cosine.clamp_min(0), atol=0.1)


def test_ambient_light_is_the_same_from_everywhere() -> None:
    normals = torch.nn.functional.normalize(torch.randn(20, 3, 1), dim=1)
    lit = illuminate(torch.ones(20, 3, 1), normals, ambient(torch.tensor([0.2, 0.4, 0.6]))[None])
    np.testing.assert_allclose(lit[..., 0], np.tile([0.2, 0.4, 0.6], (20, 1)), atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_exposure_is_bounded(seed: int) -> None:
    light = random_light(np.random.default_rng(seed))
    forward = torch.tensor([[[0.0], [0.0], [1.0]]])
    mean = float(illuminate(torch.ones(1, 3, 1), forward, light[None]).mean())
    assert 0.59 < mean < 1.11
