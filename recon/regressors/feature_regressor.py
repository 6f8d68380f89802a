"""From the features of a frozen recogniser to a face (Genova et al. 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from ..face.camera import fit_pose, from_pixels, pose_of_camera
from ..face.coefficients import Coefficients, CoefficientSizes
from ..face.lighting import ambient_light
from ..fitting.landmark_objective import LandmarkModel
from ..morphable.model import MorphableModel
from ..network.landmarker import LandmarkNetwork
from ..recipes.baselines import FeatureNetwork
from ..vision.recognition import Recogniser
from .regressor import FaceNetwork


@dataclass(frozen=True)
class Person:
    """Who features show: identity (B, K) and albedo (B, K) coefficients."""

    identity: Tensor
    albedo: Tensor

    def join(self) -> Tensor:
        """Both, (B, K)."""
        return torch.cat([self.identity, self.albedo], dim=1)


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

    def forward(self, features: Tensor) -> Person:
        """Coefficients of features (B, D), whose length does not matter."""
        outputs = self.layers(normalize(features, dim=1) * self._length)
        return Person(*torch.split(outputs * self._output_scale, self._sizes, dim=1))


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
        person: Person = self.decoder(self.recogniser(images, landmarks))
        return self.place(person, landmarks)

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

    def place(self, person: Person, landmarks: Tensor) -> Coefficients:
        """Whole faces: people aligned with landmarks (68, 2, B) px, neutral, in ambient light."""
        identity = person.identity
        expression = identity.new_zeros(len(identity), self.sizes.expression)
        light = ambient_light(len(identity)).to(identity)
        pose = self._pose(identity, landmarks)
        return Coefficients(identity, expression, person.albedo, pose, light)


def _keep_spread(module: nn.Module) -> None:
    """Weights under which coefficients spread as widely as features, as the prior's do."""
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)
