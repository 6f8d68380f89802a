"""Photograph to coefficients: a backbone and a head that starts at the mean face in view."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..face.coefficients import LIGHT_SIZE, Coefficients, CoefficientSizes
from ..face.crop import Framing
from ..face.lighting import ambient_light
from ..network.landmark_head import Places
from ..network.landmarker import LANDMARKS
from ..network.layers import ColourNormalisation
from ..network.resnet import ResNet
from ..recipes.parts import NetworkRecipe, OutputScale
from .face_network import FaceNetwork

_DOWNSAMPLING = 32


class FaceRegressor(FaceNetwork):
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
        self.start_expression = recipe.start_expression
        self.pooling = recipe.pooling
        self.backbone = ResNet(recipe.architecture, sizes.total, recipe.width)
        self.places = self._places(recipe)
        if recipe.pooling != "average":
            self.backbone.fc = nn.Linear(self._features(recipe), sizes.total)
        nn.init.zeros_(self.backbone.fc.weight)
        nn.init.zeros_(self.backbone.fc.bias)
        self.register_buffer("output_scale", _output_scale(recipe.output_scale, sizes))
        self.register_buffer("start_pose", _start_pose(framing))
        self.register_buffer("start_light", ambient_light(1))
        self.normalise = ColourNormalisation()

    def forward(self, images: Tensor) -> Coefficients:
        """Coefficients of RGB images (B, 3, S, S) in [0, 1]; angles in radians."""
        return self.look(images)[0]

    def look(self, images: Tensor) -> tuple[Coefficients, Tensor | None]:
        """The same, and the places (B, 68, 2) in px that the head read, where it reads any."""
        scales, places = self._seen(self.normalise(images))
        return self.moved(self.start(), self._read(scales, places)), places

    def start(self) -> Coefficients:
        """The face from which outputs count, as a batch of one: the mean face in view."""
        sizes, zero = self.sizes, self.start_pose.new_zeros
        identity, expression, albedo = (
            zero(1, size) for size in (sizes.identity, sizes.expression, sizes.albedo)
        )
        expression = expression + self.start_expression
        return Coefficients(identity, expression, albedo, self.start_pose[None], self.start_light)

    def outputs(self, pictures: Tensor) -> Coefficients:
        """Outputs of the head for normalised pictures (B, C, S, S), scaled, part by part."""
        return self._read(*self._seen(pictures))

    def _seen(self, pictures: Tensor) -> tuple[Sequence[Tensor], Tensor | None]:
        scales = self.backbone.pyramid(pictures)
        return scales, self.places(scales) if self.places else None

    def _read(self, scales: Sequence[Tensor], places: Tensor | None) -> Coefficients:
        pooled = self._pooled(scales[-1], places)
        with torch.autocast(pooled.device.type, enabled=False):  # eight bits would round the pose
            outputs = self.backbone.fc(pooled.float()) * self.output_scale
        return Coefficients.from_vector(outputs, self.sizes)

    def moved(self, faces: Coefficients, outputs: Coefficients) -> Coefficients:
        """Faces moved by outputs: sums, but for the camera's scale, which is multiplied."""
        return Coefficients(
            outputs.identity + faces.identity,
            outputs.expression + faces.expression,
            outputs.albedo + faces.albedo,
            _moved_pose(faces.pose, outputs.pose),
            outputs.light + faces.light,
        )

    def _pooled(self, last: Tensor, places: Tensor | None) -> Tensor:
        if self.pooling == "average":
            return last.mean((2, 3))
        grid = last.flatten(1)
        if self.places is None or places is None:
            return grid
        return torch.cat([grid, self.places.read(places)], dim=1)

    def _places(self, recipe: NetworkRecipe) -> Places | None:
        if recipe.pooling != "places":
            return None
        return Places(self.backbone.scale_channels, recipe.image_size, LANDMARKS)

    def _features(self, recipe: NetworkRecipe) -> int:
        """How many numbers the head sees where they are not an average."""
        cells = (-(-recipe.image_size // _DOWNSAMPLING)) ** 2
        return self.backbone.channels * cells + (self.places.features if self.places else 0)


def _moved_pose(pose: Tensor, outputs: Tensor) -> Tensor:
    shifted = outputs[:, :6] + pose[:, :6]
    scale = outputs[:, 6:].exp() * pose[:, 6:]
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
