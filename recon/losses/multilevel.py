"""The sum of the levels (METHOD eq. 7), each with its weight and its name."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..coefficients import Coefficients
from ..recipe import LandmarkRecipe, LossRecipe
from ..render import Rendering
from ..render.face import RenderedFace
from .landmark import contour_weights, landmark_loss
from .pixel import class_weights, pixel_loss
from .prior import prior_loss
from .supervision import Supervision

LEVELS = ("pixel", "landmark", "identity", "prior")
"""Names of the levels, in the order of the paper's sum."""


class MultiLevelLoss(nn.Module):
    """The levels of the loss of a batch, unweighted, and their weighted sum.

    The identity level needs a recognition network; where there is none the level is absent from the
    result, not zero.

    Args:
        recipe: weights and settings of every level.
    """

    class_weights: Tensor

    def __init__(self, recipe: LossRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.register_buffer("class_weights", class_weights(recipe.mask))

    def forward(
        self, coefficients: Coefficients, drawn: RenderedFace, truth: Supervision
    ) -> dict[str, Tensor]:
        """Every level that is computed, unweighted, by name.

        Args:
            coefficients: of the batch.
            drawn: the faces rendered from them.
            truth: the photographs and their weak labels.
        """
        prior = self.recipe.prior
        return {
            "pixel": self._pixel(drawn.rendering, truth),
            "landmark": self._landmark(coefficients.pose, drawn.landmarks, truth),
            "prior": prior_loss(coefficients, prior.identity, prior.expression, prior.albedo),
        }

    def total(self, levels: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum."""
        terms = [getattr(self.recipe.weights, name) * level for name, level in levels.items()]
        return torch.stack(terms).sum()

    def _pixel(self, rendering: Rendering, truth: Supervision) -> Tensor:
        visible = rendering.silhouette.detach()
        weights = self.class_weights[truth.masks] * visible
        return pixel_loss(rendering.image, truth.images, weights)

    def _landmark(self, pose: Tensor, projected: Tensor, truth: Supervision) -> Tensor:
        recipe = self.recipe.landmark
        unknown = (truth.landmarks + projected).isnan().any(1)
        hidden = unknown.unsqueeze(1)
        weights = _contour_weights(pose[:, 1].detach(), recipe).masked_fill(unknown, 0.0)
        return landmark_loss(
            projected.masked_fill(hidden, 0.0),
            truth.landmarks.masked_fill(hidden, 0.0),
            weights,
            truth.images.shape[-1],
            recipe.width,
            recipe.epsilon,
        )


def _contour_weights(yaw: Tensor, recipe: LandmarkRecipe) -> Tensor:
    start, end = math.radians(recipe.contour_from), math.radians(recipe.contour_to)
    return contour_weights(yaw, recipe.contour_weight, start, end)
