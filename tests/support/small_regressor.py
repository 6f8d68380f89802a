"""A regressor of the right build whose faces differ, in a file."""

from __future__ import annotations

from pathlib import Path

import torch

from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.regressor import NetworkRecipe, Recipe
from facebench.recon.regressors.checkpoint import save_weights
from facebench.recon.regressors.regressor import FaceRegressor


def write_small_regressor(path: Path) -> Path:
    """Weights for the embedded model; the last layer's identity is drawn at random."""
    torch.manual_seed(0)
    model = load_model("embedded")
    recipe = Recipe(name="test", network=NetworkRecipe("resnet18", width=8, image_size=64))
    sizes = CoefficientSizes.of(model)
    regressor = FaceRegressor(recipe.network, sizes, mean_face_pose(model))
    torch.nn.init.normal_(regressor.backbone.fc.weight[: sizes.identity], std=0.1)
    save_weights(path, regressor, recipe, model.digest, steps=0, seed=0)
    return path
