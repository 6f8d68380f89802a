"""Photograph to coefficients: a backbone and a head that starts at the mean face in view.

A refining regressor looks at its own render and corrects it (Richardson et al. 2016); another
decodes the features of a frozen recogniser (Genova et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from ..face.coefficients import LIGHT_SIZE, Coefficients, CoefficientSizes, Floats
from ..face.imaging import ambient_light, fit_pose, from_pixels, pose_of_camera
from ..fitting.landmark_objective import LandmarkModel
from ..morphable.model import MorphableModel
from ..network.dense import LANDMARKS, LandmarkHead, LandmarkNetwork
from ..network.resnet import ColourNormalisation, ResNet
from ..recipes.baselines import FeatureNetwork, RefiningNetwork
from ..recipes.regressor import NetworkRecipe, OutputScale
from ..render import Rendering
from ..render.face import FaceRenderer
from ..vision.recognition import Recogniser

People = tuple[Tensor, Tensor]
"""Who features show: identity (B, K) and albedo (B, K) coefficients."""

_DOWNSAMPLING = 32


class FaceNetwork(nn.Module):
    """Coefficients of the faces in square photographs.

    Attributes:
        image_size: side of the photographs in px.
        sizes: numbers of coefficients of the face model.
    """

    image_size: int
    sizes: CoefficientSizes

    def forward(self, images: Tensor) -> Coefficients:
        """Coefficients of RGB images (B, 3, S, S) in [0, 1]; angles in radians."""
        raise NotImplementedError


class FaceRegressor(FaceNetwork):
    """Regresses the coefficients of the face in a square photograph.

    The last layer starts at zero, so every photograph first gives the frontal mean face of
    `pose` under ambient light: a face off screen or unlit would give no gradient. Each group of
    outputs is multiplied by its `output_scale`; the camera's scale is the pose's times an
    exponential, hence positive.

    Args:
        recipe: architecture, width, image size, pooling and output scales.
        sizes: numbers of coefficients of the face model.
        pose: (7,) of the mean face before training.
    """

    output_scale: Tensor
    start_pose: Tensor
    start_light: Tensor

    def __init__(self, recipe: NetworkRecipe, sizes: CoefficientSizes, pose: Floats) -> None:
        super().__init__()
        self.sizes = sizes
        self.image_size = recipe.image_size
        self.start_expression = recipe.start_expression
        self.pooling = recipe.pooling
        self.backbone = ResNet(recipe.architecture, sizes.total, recipe.width)
        self.places = self._landmark_head(recipe)
        # Before it is zeroed: a new layer comes with random weights.
        if recipe.pooling != "average":
            self.backbone.fc = nn.Linear(self._features(recipe), sizes.total)
        # Zero, so that the first faces stand in that pose whatever the photograph.
        nn.init.zeros_(self.backbone.fc.weight)
        nn.init.zeros_(self.backbone.fc.bias)
        self.register_buffer("output_scale", _output_scale(recipe.output_scale, sizes))
        self.register_buffer("start_pose", torch.tensor(pose, dtype=torch.float32))
        self.register_buffer("start_light", ambient_light(1))
        self.normalise = ColourNormalisation()

    def forward(self, images: Tensor) -> Coefficients:
        """Coefficients of RGB images (B, 3, S, S) in [0, 1]; angles in radians."""
        return self.estimate(images)[0]

    def estimate(self, images: Tensor) -> tuple[Coefficients, Tensor | None]:
        """The same, and the places (B, 68, 2) in px that the head read, where it reads any."""
        scales, places = self._encode(self.normalise(images))
        return self.move(self.start(), self._read(scales, places)), places

    def start(self) -> Coefficients:
        """The face from which outputs count, as a batch of one: the mean face in view."""
        faces = Coefficients.mean_faces(self.sizes, self.start_pose[None], self.start_light)
        # Blendshape weights are never negative, so their mean is not the neutral face's 0.
        return replace(faces, expression=faces.expression + self.start_expression)

    def outputs(self, pictures: Tensor) -> Coefficients:
        """Outputs of the head for normalised pictures (B, C, S, S), scaled, part by part."""
        return self._read(*self._encode(pictures))

    def _encode(self, pictures: Tensor) -> tuple[Sequence[Tensor], Tensor | None]:
        scales = self.backbone.pyramid(pictures)
        return scales, self.places(scales) if self.places else None

    def _read(self, scales: Sequence[Tensor], places: Tensor | None) -> Coefficients:
        pooled = self._pool(scales[-1], places)
        with torch.autocast(pooled.device.type, enabled=False):  # eight bits would round the pose
            outputs = self.backbone.fc(pooled.float()) * self.output_scale
        return Coefficients.from_vector(outputs, self.sizes)

    def move(self, faces: Coefficients, outputs: Coefficients) -> Coefficients:
        """Faces moved by outputs: sums, but for the camera's scale, which is multiplied."""
        return Coefficients(
            outputs.identity + faces.identity,
            outputs.expression + faces.expression,
            outputs.albedo + faces.albedo,
            _moved_pose(faces.pose, outputs.pose),
            outputs.light + faces.light,
        )

    def _pool(self, last: Tensor, places: Tensor | None) -> Tensor:
        if self.pooling == "average":
            return last.mean((2, 3))
        grid = last.flatten(1)
        if self.places is None or places is None:
            return grid
        # The grid says roughly what is where, the places say it to a fraction of a pixel.
        return torch.cat([grid, self.places.read(places)], dim=1)

    def _landmark_head(self, recipe: NetworkRecipe) -> LandmarkHead | None:
        if recipe.pooling != "places":
            return None
        return LandmarkHead(self.backbone.scale_channels, recipe.image_size, LANDMARKS)

    def _features(self, recipe: NetworkRecipe) -> int:
        """How many numbers the head sees where they are not an average."""
        # Rounded up: the last stage keeps a cell that the picture fills only in part.
        cells = (-(-recipe.image_size // _DOWNSAMPLING)) ** 2
        return self.backbone.channels * cells + (self.places.features if self.places else 0)


class OwnRender:
    """Draws faces where their coefficients are, without gradient.

    It is no module: the face model's bases are neither learned nor saved, and no copies of them
    travel with a network's state.
    """

    def __init__(self, face: FaceRenderer) -> None:
        self._face = face

    @torch.no_grad()
    def __call__(self, faces: Coefficients) -> Tensor:
        """Pictures (B, 3, S, S) over black."""
        device = faces.pose.device
        with torch.autocast(device.type, enabled=False):  # eight bits would move its vertices
            rendering: Rendering = self._face.to(device)(faces)[0]
        return rendering.image


class RefiningRegressor(FaceRegressor):
    """Sees the photograph beside its own render of the face so far, and moves that face.

    The first pass sees the mean face, so that one network takes every pass.

    Args:
        recipe: the backbone, and how many passes are made.
        sizes: numbers of coefficients of the face model.
        pose: (7,) of the mean face at first.
        draw: draws faces.
    """

    def __init__(
        self, recipe: RefiningNetwork, sizes: CoefficientSizes, pose: Floats, draw: OwnRender
    ) -> None:
        super().__init__(recipe, sizes, pose)
        self.passes = recipe.passes
        self.backbone.conv1 = _with_channels(self.backbone.conv1, 6)
        self._draw = draw

    def forward(self, images: Tensor, last: Coefficients | None = None) -> Coefficients:
        """Coefficients of RGB images (B, 3, S, S) in [0, 1] after all passes.

        Args:
            images: the photographs.
            last: where given, a single pass is made, from these faces.
        """
        if last is not None:
            return self._refine(images, last)
        return self.refine(images, self.passes)

    def refine(self, images: Tensor, passes: int) -> Coefficients:
        """The faces after so many passes; after none, the mean face in view, as a batch of one."""
        faces = self.start()
        for _ in range(passes):
            faces = self._refine(images, faces)
        return faces

    def _refine(self, images: Tensor, last: Coefficients) -> Coefficients:
        """One pass from the faces of a batch, or from one face for all."""
        drawn = self._draw(last).expand_as(images)
        seen = [self.normalise(images), self.normalise(drawn)]
        return self.move(last, self.outputs(torch.cat(seen, dim=1)))


class FeatureDecoder(nn.Module):
    """Features to the coefficients of shape and colour, by fully connected layers.

    Args:
        recipe: width and depth.
        features: length of the recogniser's vector.
        sizes: numbers of coefficients.
    """

    def __init__(self, recipe: FeatureNetwork, features: int, sizes: CoefficientSizes) -> None:
        super().__init__()
        self._sizes = [sizes.identity, sizes.albedo]
        self._output_scale = recipe.output_scale
        # Features are unit vectors: times √D their elements have variance 1, as layers expect.
        self._length = math.sqrt(features)
        widths = [features, *[recipe.width] * recipe.depth]
        hidden = [
            layer
            for before, after in pairwise(widths)
            for layer in (nn.Linear(before, after), nn.ReLU())
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[-1], sum(self._sizes)))
        self.apply(_keep_spread)

    def forward(self, features: Tensor) -> People:
        """Identity coefficients of features (B, D), whose length does not matter."""
        outputs = self.layers(normalize(features, dim=1) * self._length)
        identity, albedo = torch.split(outputs * self._output_scale, self._sizes, dim=1)
        return identity, albedo


class FeatureRegressor(FaceNetwork):
    """Finds landmarks, recognises, and decodes who it is; only the decoder learns.

    Features are made to tell the person whatever the pose, light and expression, so these cannot
    be decoded from them: the pose is the one that aligns the face with the landmarks, the light
    ambient, the expression neutral.

    Args:
        recipe: the decoder, and the side of the photographs.
        model: the face model.
        recogniser: frozen.
        landmarker: finds the points that a face is aligned by; kept frozen.
    """

    landmarker_size: Tensor

    def __init__(
        self,
        recipe: FeatureNetwork,
        model: MorphableModel,
        recogniser: Recogniser,
        landmarker: LandmarkNetwork,
    ) -> None:
        super().__init__()
        self.image_size = recipe.image_size
        self.sizes = CoefficientSizes.of(model)
        self.recogniser = recogniser
        self.landmarker = landmarker.eval().requires_grad_(False)
        # In the state dict, because convolutions do not tell what size they were trained at.
        self.register_buffer("landmarker_size", torch.tensor(landmarker.image_size))
        self.points = LandmarkModel(model)
        self.decoder = FeatureDecoder(recipe, recogniser.network.fc.out_features, self.sizes)

    def train(self, mode: bool = True) -> FeatureRegressor:
        """Only the decoder is ever in training."""
        super().train(mode)
        # `train` of a parent reaches its children: without this, frozen statistics would move.
        self.landmarker.eval()
        return self

    def forward(self, images: Tensor) -> Coefficients:
        """Coefficients of RGB images (B, 3, S, S) in [0, 1]; angles in radians."""
        landmarks = self.landmarks(images)
        return self.place(self.decoder(self.recogniser(images, landmarks)), landmarks)

    @torch.no_grad()
    def landmarks(self, images: Tensor) -> Tensor:
        """Detected landmarks (68, 2, B) in px of the images."""
        size = self.landmarker.image_size
        # Antialiased: the detector was trained on averaged pixels, not on every third one.
        crops = interpolate(images, (size, size), mode="bilinear", antialias=True)
        found: Tensor = self.landmarker(crops)
        share = self.image_size / size
        # Pixel centres at integers: half a pixel is added before and taken off after scaling.
        return ((found + 0.5) * share - 0.5).permute(1, 2, 0)

    @torch.no_grad()
    def _pose(self, identity: Tensor, landmarks: Tensor) -> Tensor:
        # Without expression, as the face is decoded: the pose must suit what is drawn.
        neutral = identity.new_zeros(len(identity), self.sizes.expression)
        # In double: the pose's closed form squares its points.
        shape = self.points.points(torch.cat([identity, neutral], dim=1).double())
        targets = from_pixels(landmarks.double(), (self.image_size, self.image_size))
        known = targets.isfinite().all(1) & self.points.present[:, None]
        return pose_of_camera(fit_pose(shape, targets, known.double())).to(identity)

    def place(self, people: People, landmarks: Tensor) -> Coefficients:
        """Whole faces: people aligned with landmarks (68, 2, B) px, neutral, in ambient light."""
        identity, albedo = people
        expression = identity.new_zeros(len(identity), self.sizes.expression)
        light = ambient_light(len(identity)).to(identity)
        pose = self._pose(identity, landmarks)
        return Coefficients(identity, expression, albedo, pose, light)


def _moved_pose(pose: Tensor, outputs: Tensor) -> Tensor:
    shifted = outputs[:, :6] + pose[:, :6]
    # Positive whatever the network says: a negative scale would be a mirrored face.
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


def _with_channels(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    """A fresh first convolution like another, for pictures of more channels."""
    size, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    assert isinstance(padding, int)
    wider = nn.Conv2d(channels, layer.out_channels, size, stride, padding, bias=False)
    nn.init.kaiming_normal_(wider.weight, mode="fan_out", nonlinearity="relu")
    return wider


def _keep_spread(module: nn.Module) -> None:
    """Weights under which coefficients spread as widely as features, as the prior's do."""
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)
