from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.face.imaging import ambient_light
from facebench.recon.recipes.regressor import NetworkRecipe, OutputScale
from facebench.recon.regressors.regressor import FaceRegressor

SIZES = CoefficientSizes(identity=5, expression=3, albedo=2)
POSE = np.array([0.0, 0.0, 0.0, 0.01, -0.2, 0.0, 0.009])


def regressor(pooling: str = "average", **scale: float) -> FaceRegressor:
    torch.manual_seed(0)
    recipe = NetworkRecipe("resnet18", 8, 64, pooling, output_scale=OutputScale(**scale))
    return FaceRegressor(recipe, SIZES, POSE).eval()


@pytest.mark.parametrize("pooling", ["average", "grid", "places"])
def test_starts_at_the_mean_face_in_view_whatever_the_photograph(pooling: str) -> None:
    found = regressor(pooling)(torch.rand(3, 3, 64, 64))
    for part in (found.identity, found.expression, found.albedo):
        assert (part == 0).all()
    expected = torch.tensor([0, 0, 0, 0.01, -0.2, 0, 0.009])
    torch.testing.assert_close(found.pose, expected.expand(3, 7))
    torch.testing.assert_close(found.light, ambient_light(3))


def test_scale_stays_positive_for_any_output() -> None:
    network = regressor()
    torch.nn.init.normal_(network.backbone.fc.weight, std=30.0)
    assert (network(torch.rand(8, 3, 64, 64)).pose[:, 6] > 0).all()


def test_output_scales_multiply_their_group() -> None:
    plain, scaled = regressor(), regressor(identity=10.0, angles=0.5)
    for network in (plain, scaled):
        torch.nn.init.constant_(network.backbone.fc.bias, 0.1)
    image = torch.rand(1, 3, 64, 64)
    one, ten = plain(image), scaled(image)
    torch.testing.assert_close(ten.identity, 10 * one.identity)
    torch.testing.assert_close(ten.pose[:, :3], 0.5 * one.pose[:, :3])
    torch.testing.assert_close(ten.expression, one.expression)


def test_grid_pooling_sees_where_things_are() -> None:
    network = regressor("grid")
    assert network.backbone.fc.in_features == 64 * 4
    torch.nn.init.normal_(network.backbone.fc.weight)
    image = torch.rand(1, 3, 64, 64)
    moved = image.roll(32, dims=3)
    assert not torch.allclose(network(image).identity, network(moved).identity, atol=1e-3)
