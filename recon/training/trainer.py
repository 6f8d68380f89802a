"""One optimisation step: photograph to face to loss to weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..coefficients import Coefficients, CoefficientSizes
from ..framing import frame_mean_face
from ..losses.multilevel import Landmarks, MultiLevelLoss
from ..losses.supervision import Supervision
from ..morphable.decoder import FaceDecoder
from ..morphable.model import MorphableModel
from ..network.regressor import FaceRegressor
from ..recipe import OptimiserRecipe, Recipe
from ..render import Rendering, make_renderer
from ..render.face import FaceRenderer, RenderedFace


@dataclass(frozen=True)
class StepReport:
    """What one step found.

    Attributes:
        total: the weighted sum, before the step.
        levels: each level of the loss, unweighted.
        images: photographs in the batch.
        applied: False where the loss or its gradient was not finite and the step was left out.
    """

    total: float
    levels: dict[str, float]
    images: int
    applied: bool


class Trainer:
    """The regressor in training, with its optimiser and the face it is judged by.

    Args:
        recipe: network, loss, renderer and optimiser.
        model: the face model.
        seed: of the starting weights.
        device: where everything runs.
        distribute: what makes the regressor of one worker part of several.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: MorphableModel,
        seed: int,
        device: torch.device,
        distribute: Callable[[FaceRegressor], nn.Module] | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.seed = seed
        self.model_digest = model.digest
        self.device = device
        self.step = 0
        self.skipped = 0
        sizes, framing = CoefficientSizes.of(model), frame_mean_face(model)
        regressor = FaceRegressor(recipe.network, sizes, framing)
        self.regressor = _channels_last(regressor).to(device)
        self.network = distribute(self.regressor) if distribute else self.regressor
        size = recipe.network.image_size
        drawing = recipe.renderer
        renderer = make_renderer(drawing.kind, drawing.sigma, drawing.gamma)
        self.face = FaceRenderer(FaceDecoder(model), renderer, (size, size)).to(device)
        self.loss = MultiLevelLoss(recipe.loss).to(device)
        self.optimiser = torch.optim.Adam(self.regressor.parameters(), fused=True)

    @property
    def learner(self) -> nn.Module:
        """Everything that is learned: the regressor."""
        return self.regressor

    def advance(self, truth: Supervision) -> StepReport:
        """Take one step on a batch."""
        self.network.train()
        truth = truth.to(self.device)
        levels = self.levels(truth)
        total = self.loss.total(levels)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        applied = self._apply(total)
        self.step += 1
        self.skipped += not applied
        values = {name: float(level.detach()) for name, level in levels.items()}
        return StepReport(float(total.detach()), values, len(truth.images), applied)

    def levels(self, truth: Supervision) -> dict[str, Tensor]:
        """The levels of the loss of a batch."""
        images = truth.images.contiguous(memory_format=torch.channels_last)
        coefficients = self.network(images)
        if not bool(coefficients.vector().isfinite().all()):
            return {"prior": coefficients.vector().sum()}  # not finite either: no step is taken
        shape = self.face.decoder.landmark_shape(coefficients.identity, coefficients.expression)
        projected, rendering = self._draw(coefficients)
        placed = Landmarks(shape, projected)
        levels: dict[str, Tensor] = self.loss(coefficients, placed, rendering, truth)
        return levels

    def _draw(self, coefficients: Coefficients) -> tuple[Tensor, Rendering | None]:
        if self.step < self.recipe.loss.pixel_from * self.recipe.training.steps:
            return self.face.landmarks(coefficients), None
        drawn: RenderedFace = self.face(coefficients)
        return drawn.landmarks, drawn.rendering

    def _apply(self, total: Tensor) -> bool:
        limit = self.recipe.optimiser.gradient_limit or math.inf
        norm = nn.utils.clip_grad_norm_(self.regressor.parameters(), limit)
        if not bool((norm + total.detach()).isfinite()):
            return False
        rate = learning_rate(self.recipe.optimiser, self.step, self.recipe.training.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        return True


def learning_rate(recipe: OptimiserRecipe, step: int, steps: int) -> float:
    """Learning rate of a step counted from 0: linear warm-up, then constant or half a cosine."""
    warm = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    if recipe.schedule == "constant":
        return recipe.learning_rate * warm
    after = max(0, step - recipe.warmup_steps) / max(1, steps - recipe.warmup_steps)
    return recipe.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, after)))


def _channels_last(regressor: FaceRegressor) -> FaceRegressor:
    """The layout in which convolutions run fastest."""
    for parameter in regressor.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return regressor
