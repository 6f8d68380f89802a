"""One optimisation step: photograph to face to loss to weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..camera import project, rotate, rotation_matrix
from ..coefficients import Coefficients, CoefficientSizes
from ..framing import frame_mean_face
from ..losses.identity import IdentityFeatures
from ..losses.multilevel import Landmarks, MultiLevelLoss
from ..losses.supervision import Supervision
from ..losses.visible_contour import VisibleContour
from ..morphable.decoder import FaceDecoder
from ..morphable.model import MorphableModel
from ..network.checkpoint import Weights
from ..network.regressor import FaceRegressor
from ..recipe import Recipe
from ..render import make_renderer
from ..render.face import FaceRenderer, RenderedFace
from .descent import Descent
from .gradients import gradient_norms
from .identity_level import IdentityLevel
from .layout import channels_last
from .peers import ALONE, Peers
from .precision import computing_in
from .second_view import SecondView
from .step_report import StepReport


class Trainer:
    """The regressor in training, with its optimiser and the face it is judged by.

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
        torch.manual_seed(seed)
        self.recipe = recipe
        self.seed = seed
        self.model_digest = model.digest
        self.device = device
        self.peers = peers
        self.step = 0
        self.skipped = 0
        sizes, framing = CoefficientSizes.of(model), frame_mean_face(model)
        self.regressor = FaceRegressor(recipe.network, sizes, framing)
        if start is not None:
            self.regressor.load_state_dict(start)
        peers.prepare(channels_last(self.regressor).to(device), device)
        self.network = distribute(self.regressor) if distribute else self.regressor
        self.face = _face(recipe, model).to(device)
        self.loss = MultiLevelLoss(recipe.loss, model, peers.mean).to(device)
        moves = recipe.loss.landmark.visible_contour
        self.contour = VisibleContour(model).to(device) if moves else None
        self.identity = self._identity_level(features)
        self.descent = Descent(self.regressor, recipe.optimiser, recipe.training.steps)

    @property
    def learner(self) -> nn.Module:
        """Everything that is learned: the regressor."""
        return self.regressor

    def advance(self, truth: Supervision) -> StepReport:
        """Take one step on a batch."""
        self.network.train()
        before = self.descent.statistics()
        truth = truth.to(self.device)
        coefficients = self.regress(truth.images)
        levels = self.levels(coefficients, truth)
        pulls = self._pulls(levels, coefficients)
        total = self.loss.total(levels)
        applied = self.descent.apply(total, self.step, before)
        self.step += 1
        self.skipped += not applied
        values = {name: float(level.detach()) for name, level in levels.items()}
        return StepReport(float(total.detach()), values, len(truth.images), applied, pulls)

    def regress(self, images: Tensor) -> Coefficients:
        """Coefficients of images (B, 3, S, S), through the network that all workers share."""
        with computing_in(self.recipe.network.precision, self.device):
            found: Coefficients = self.network(images.contiguous(memory_format=torch.channels_last))
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
            with computing_in(self.recipe.network.precision, self.device):
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

    def _pulls(self, levels: Mapping[str, Tensor], coefficients: Coefficients) -> dict[str, float]:
        if (self.step + 1) % self.recipe.training.log_every:
            return {}
        return gradient_norms(self.loss.weighted(levels), coefficients)

    def _identity_level(self, features: IdentityFeatures | None) -> IdentityLevel | None:
        if features is None or not self.recipe.loss.weights.identity:
            return None
        view = SecondView(self.recipe.identity, self.seed, self.peers.rank, self.peers.count)
        return IdentityLevel(features, self.face, view, self.peers.mean)


def _face(recipe: Recipe, model: MorphableModel) -> FaceRenderer:
    drawing, size = recipe.renderer, recipe.network.image_size
    renderer = make_renderer(drawing.kind, drawing.sigma, drawing.gamma)
    return FaceRenderer(FaceDecoder(model), renderer, (size, size))
