"""One step of the weakly supervised training: photograph to face to the levels of its loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...face.camera import project, rotate, rotation_matrix
from ...face.coefficients import Coefficients
from ...losses.identity import IdentityFeatures
from ...losses.multilevel import Landmarks, MultiLevelLoss
from ...losses.supervision import Supervision
from ...losses.visible_contour import VisibleContour
from ...morphable.model import MorphableModel
from ...recipes.parts import LossWeights
from ...recipes.regressor import Recipe
from ...regressors.checkpoint import Weights
from ...regressors.regressor import FaceRegressor
from ...render.face import RenderedFace
from ..optimise.precision import computing_in
from ..workers.peers import ALONE, Peers
from .identity_level import IdentityLevel
from .second_view import SecondView
from .trainer import RegressorTrainer, Surroundings

Look = tuple[Coefficients, Tensor | None]
"""What a regressor finds in images, and the places (B, 68, 2) of landmarks that it read it off."""


class Looking(nn.Module):
    """All that a regressor finds, as one forward pass for all workers."""

    def __init__(self, regressor: FaceRegressor) -> None:
        super().__init__()
        self.regressor = regressor

    def forward(self, images: Tensor) -> Look:
        """Coefficients, and places or None, of images (B, 3, S, S)."""
        return self.regressor.look(images)


class Trainer(RegressorTrainer[Supervision]):
    """The regressor in training on photographs, landmarks and masks.

    Args:
        recipe: network, loss, renderer and optimiser.
        model: the face model.
        seed: of the starting weights and of the second views.
        device: where everything runs.
        distribute: what makes the regressor of one worker part of several.
        peers: the workers that share each batch.
        features: the recogniser of the identity level; without one the level is absent.
        start: weights that the regressor begins with, instead of random ones.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: MorphableModel,
        seed: int,
        device: torch.device,
        distribute: Callable[[Any], nn.Module] | None = None,
        peers: Peers = ALONE,
        features: IdentityFeatures | None = None,
        start: Weights | None = None,
    ) -> None:
        around = Surroundings(seed, device, distribute, peers, start)
        self._recipe = recipe
        super().__init__(recipe, model, around)
        self.loss = MultiLevelLoss(recipe.loss, model, peers.mean).to(device)
        moves = recipe.loss.landmark.visible_contour
        self.contour = VisibleContour(model).to(device) if moves else None
        self.identity = self._identity_level(features)

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        return self._recipe

    @property
    def weights(self) -> LossWeights:
        """Of the levels."""
        return self._recipe.loss.weights

    def judge(self, batch: Supervision) -> tuple[Coefficients, dict[str, Tensor]]:
        """The faces of a batch and the levels of their loss."""
        found, places = self.look(batch.images)
        levels = self.levels(found, batch)
        if places is not None and self.weights.seen:
            levels["seen"] = self.loss.seen(places, batch)
        return found, levels

    def learned(self) -> nn.Module:
        """The network with all that it finds."""
        assert isinstance(self.regressor, FaceRegressor)
        return Looking(self.regressor)

    def regress(self, images: Tensor) -> Coefficients:
        """Coefficients of images (B, 3, S, S), through the network that all workers share."""
        return self.look(images)[0]

    def look(self, images: Tensor) -> Look:
        """The same, and the places that the network sees landmarks at, where it does."""
        with computing_in(self.recipe.network.precision, self.device):
            found: Look = self.network(images.contiguous(memory_format=torch.channels_last))
        return found

    def levels(self, coefficients: Coefficients, truth: Supervision) -> dict[str, Tensor]:
        """The levels of the loss of a batch, unweighted."""
        vector = coefficients.vector()
        if not self.peers.all(vector.isfinite().all()):
            return {"prior": vector.sum() + torch.nan}  # on every worker: no step is taken
        drawn = self.face(coefficients) if self._draws() else None
        levels: dict[str, Tensor] = self.loss(
            coefficients, self.landmarks(coefficients), drawn and drawn.rendering, truth
        )
        if self.identity and drawn:
            levels["identity"] = self.identity(coefficients, drawn, truth, self.step)
        return levels

    def landmarks(self, coefficients: Coefficients) -> Landmarks:
        """The faces' landmarks as the loss compares them."""
        decoder = self.face.decoder
        shape = decoder.landmark_shape(coefficients.identity, coefficients.expression)
        if self.contour:
            shape = self.contour(shape, coefficients, decoder)
        turned = rotate(shape, rotation_matrix(coefficients.pose[:, :3]))
        return Landmarks(shape, self.face.in_pixels(project(turned, coefficients.pose)))

    def second_view(self, coefficients: Coefficients) -> RenderedFace | None:
        """The face as the identity level sees it a second time, or None without that level."""
        return self.identity.second(coefficients, self.step) if self.identity else None

    def _draws(self) -> bool:
        return self.step >= self.recipe.loss.pixel_from * self.recipe.training.steps

    def _identity_level(self, features: IdentityFeatures | None) -> IdentityLevel | None:
        if features is None or not self.recipe.loss.weights.identity:
            return None
        view = SecondView(self.recipe.identity, self.seed, self.peers.rank, self.peers.count)
        precision = self.recipe.network.precision
        return IdentityLevel(features, self.face, view, precision, self.peers.mean)
