"""Photograph to coefficients: a backbone and a head that starts at the mean face in view."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ..coefficients import LIGHT_SIZE, Coefficients, CoefficientSizes
from ..framing import Framing
from ..lighting import ambient_light
from ..recipe import NetworkRecipe, OutputScale
from .image_statistics import ColourNormalisation
from .resnet import ResNet

_DOWNSAMPLING = 32


class FaceRegressor(nn.Module):
    """Regresses the coefficients of the face in a square photograph.

    The last layer starts at zero, so every photograph first gives the frontal mean face of
    `framing` under ambient light: a face off screen or unlit would give no gradient. Each group of
    outputs is multiplied by its `output_scale`; the camera's scale is the framing's times an
    exponential, hence positive.

    Args:
        recipe: architecture, width, image size, pooling and output scales.
        sizes: numbers of coefficients of the face model.
        framing: where the mean face stands before training.
    """

    output_scale: Tensor
    start_pose: Tensor
    start_light: Tensor

    def __init__(self, recipe: NetworkRecipe, sizes: CoefficientSizes, framing: Framing) -> None:
        super().__init__()
        self.sizes = sizes
        self.image_size = recipe.image_size
        self.pooling = recipe.pooling
        self.backbone = ResNet(recipe.architecture, sizes.total, recipe.width)
        if recipe.pooling == "grid":
            cells = (-(-recipe.image_size // _DOWNSAMPLING)) ** 2
            self.backbone.fc = nn.Linear(self.backbone.channels * cells, sizes.total)
        nn.init.zeros_(self.backbone.fc.weight)
        nn.init.zeros_(self.backbone.fc.bias)
        self.register_buffer("output_scale", _output_scale(recipe.output_scale, sizes))
        self.register_buffer("start_pose", _start_pose(framing))
        self.register_buffer("start_light", ambient_light(1))
        self.normalise = ColourNormalisation()

    def forward(self, images: Tensor) -> Coefficients:
        """Coefficients of RGB images (B, 3, S, S) in [0, 1]; angles in radians."""
        features = self.backbone.features(self.normalise(images))
        pooled = features.flatten(1) if self.pooling == "grid" else features.mean((2, 3))
        with torch.autocast(pooled.device.type, enabled=False):  # eight bits would round the pose
            outputs = self.backbone.fc(pooled.float()) * self.output_scale
        parts = Coefficients.from_vector(outputs, self.sizes)
        pose, light = self._pose(parts.pose), parts.light + self.start_light
        return replace(parts, pose=pose, light=light)

    def _pose(self, outputs: Tensor) -> Tensor:
        shifted = outputs[:, :6] + self.start_pose[:6]
        scale = outputs[:, 6:].exp() * self.start_pose[6:]
        return torch.cat([shifted, scale], dim=1)


def _output_scale(scale: OutputScale, sizes: CoefficientSizes) -> Tensor:
    pose = [scale.angles] * 3 + [scale.translation] * 3 + [scale.log_scale]
    return torch.tensor(
        [scale.identity] * sizes.identity
        + [scale.expression] * sizes.expression
        + [scale.albedo] * sizes.albedo
        + pose
        + [scale.light] * LIGHT_SIZE
    )


def _start_pose(framing: Framing) -> Tensor:
    return torch.tensor([0.0, 0.0, 0.0, framing.offset_x, framing.offset_y, 0.0, framing.scale])
