"""`ours` and `mofa`: the weakly supervised training step, from photographs to the loss.

The identity term compares recognition features of the photograph, its render and a second render of
the face under another pose and expression (METHOD, L_id: the render I'').
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...face.coefficients import Coefficients
from ...face.imaging import project, rotate, rotation_matrix
from ...losses.landmarks import VisibleContour
from ...losses.multilevel import (
    IdentityFeatures,
    MultiLevelLoss,
    Supervision,
    identity_loss,
)
from ...morphable.model import MorphableModel
from ...network.vision_weights import EMBEDDED, embedded_network
from ...recipes.regressor import IdentityRecipe, LossWeights, Recipe
from ...regressors.regressor import FaceRegressor
from ...render.face import Drawn, FaceDecoder
from ...vision.recognition import make_recogniser
from ..optimise import computing_in
from ..workers import ProcessGroup, Worker
from .trainer import RegressorTrainer

# Streams of chance; the recogniser's points have 3, passes 4 and random views 5.
_TURN, _EXPRESSION = 1, 2

Estimate = tuple[Coefficients, Tensor | None]
"""What a regressor finds in images, and the places (B, 68, 2) of landmarks that it read it off."""


def second_view_change(
    recipe: IdentityRecipe, seed: int, group: ProcessGroup, step: int, like: Tensor
) -> tuple[Tensor, Tensor]:
    """What pose and expression of a batch change by in its second view.

    It follows from the seed, the step and the photograph's place in the batch of all workers, so
    there is nothing to save: a resumed training draws what it would have drawn, and two workers
    draw what one would.

    Args:
        recipe: how far pose and expression change.
        seed: of the training.
        group: the workers that share a batch, seen from this one.
        step: from 0.
        like: (B, K) expression coefficients.

    Returns:
        (B, 3) pitch, yaw and roll in radians, uniform within the recipe's limits, and (B, K)
        standard deviations of expression, normal.
    """
    # At least up to this worker's last place; numbers do not depend on how many more are drawn.
    places = group.rank + group.count * len(like)
    # Four numbers, where the order and augmentation of photographs are seeded by three.
    turns, expressions = (
        np.random.default_rng([seed, step, 0, stream]) for stream in (_TURN, _EXPRESSION)
    )
    uniform = turns.uniform(-1.0, 1.0, (places, 3))
    normal = expressions.standard_normal((places, like.shape[1]))
    limits = np.radians([recipe.pitch, recipe.yaw, recipe.roll])
    turn, expression = (
        torch.from_numpy(values[group.rank :: group.count]).to(like)
        for values in (uniform * limits, normal * recipe.expression)
    )
    return turn, expression


def second_view_faces(
    coefficients: Coefficients, turn: Tensor, expression: Tensor, decoder: FaceDecoder
) -> Coefficients:
    """The same people, turned, with another expression and in the middle of the picture.

    Pose and expression are constants of the result: the view is chosen at random, so it says
    nothing of the photograph's own. Identity, albedo and light keep their gradient.
    """
    # Around the face's own, so that the second view stays within what the model can do.
    expression = coefficients.expression.detach() + expression
    pose = coefficients.pose.detach().clone()
    pose[:, :3] += turn
    # Last: where the middle comes to lie depends on turn and expression.
    pose[:, 3:6] = centring_translation(coefficients.identity.detach(), expression, pose, decoder)
    return replace(coefficients, expression=expression, pose=pose)


@torch.no_grad()
def centring_translation(
    identity: Tensor, expression: Tensor, pose: Tensor, decoder: FaceDecoder
) -> Tensor:
    """Translations (B, 3) that put the middle of the landmarks in that of the picture.

    A model's origin may lie deep in the head: a face turned about it could leave the picture.
    """
    points = decoder.landmark_shape(identity, expression)[decoder.landmarks >= 0]
    turned = rotate(points, rotation_matrix(pose[:, :3]))
    # Scaled, because the translation is in the picture's units and the points are in mm.
    return (-turned.mean(0) * pose[:, 6]).T


def load_features(recipe: IdentityRecipe, device: torch.device) -> IdentityFeatures | None:
    """The recogniser that a recipe names, or None where it names none or the package holds none.

    Raises:
        FacebenchError: a file that is not there or not a recogniser's.
    """
    if not has_recogniser(recipe):
        return None
    return make_recogniser(_file(recipe), device)


def has_recogniser(recipe: IdentityRecipe) -> bool:
    """Whether the recipe's recogniser is there to be loaded, or should be."""
    if _file(recipe) == EMBEDDED:
        return embedded_network("recogniser").is_file()
    return bool(recipe.weights)


def _file(recipe: IdentityRecipe) -> str | Path:
    return recipe.weights if recipe.weights == EMBEDDED else Path(recipe.weights).expanduser()


class Estimator(nn.Module):
    """All that a regressor finds, as one forward pass for all workers."""

    def __init__(self, regressor: FaceRegressor) -> None:
        super().__init__()
        self.regressor = regressor

    def forward(self, images: Tensor) -> Estimate:
        """Coefficients, and places or None, of images (B, 3, S, S)."""
        return self.regressor.estimate(images)


class Trainer(RegressorTrainer[Supervision]):
    """The regressor in training on photographs, landmarks and masks.

    Args:
        features: the recogniser of the identity term; without one the term is absent.
    """

    recipe: Recipe

    def __init__(
        self,
        recipe: Recipe,
        model: MorphableModel,
        worker: Worker,
        features: IdentityFeatures | None = None,
    ) -> None:
        # Before the loss: it seeds PyTorch and draws the network's weights.
        super().__init__(recipe, model, worker)
        self.loss = MultiLevelLoss(recipe.loss, model, self.group.mean).to(self.device)
        # The lines are searched for over all vertices; a recipe without them need not wait.
        moves = recipe.loss.landmark.visible_contour
        self.contour = VisibleContour(model).to(self.device) if moves else None
        self.features = features if recipe.loss.weights.identity else None

    @property
    def weights(self) -> LossWeights:
        """Of the terms."""
        return self.recipe.loss.weights

    def compute_losses(self, batch: Supervision) -> tuple[Coefficients, dict[str, Tensor]]:
        """The faces of a batch and the terms of their loss."""
        found, places = self.estimate(batch.images)
        terms = self.terms(found, batch)
        if places is not None and self.weights.seen:
            terms["seen"] = self.loss.seen(places, batch)
        return found, terms

    def learned(self) -> nn.Module:
        """The network with all that it finds."""
        assert isinstance(self.regressor, FaceRegressor)
        return Estimator(self.regressor)

    def estimate(self, images: Tensor) -> Estimate:
        """What is found in images (B, 3, S, S), through the network that all workers share."""
        with computing_in(self.recipe.network.precision, self.device):
            # In the kernels' own layout, or the first convolution would bring them to it at each
            # call.
            found: Estimate = self.network(images.contiguous(memory_format=torch.channels_last))
        return found

    def terms(self, coefficients: Coefficients, truth: Supervision) -> dict[str, Tensor]:
        """The terms of the loss of a batch, unweighted."""
        vector = coefficients.vector()
        # The renderer cannot draw NaN, and all workers must go the same way past each exchange.
        if not self.group.all(vector.isfinite().all()):
            return {"prior": vector.sum() + torch.nan}  # on every worker: no step is taken
        # Drawing is most of a step: until the pixels count only landmarks and prior are computed.
        draws = self.step >= self.recipe.loss.pixel_from * self.recipe.training.steps
        drawn: Drawn | None = self.face(coefficients) if draws else None
        terms: dict[str, Tensor] = self.loss(
            coefficients, *self.landmarks(coefficients), drawn and drawn[0], truth
        )
        second = self.second_view(coefficients) if drawn else None
        if drawn and second:
            terms["identity"] = self.identity_term(drawn, second, truth)
        return terms

    def landmarks(self, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
        """The faces' landmarks as the loss compares them: in the model's frame, and projected."""
        decoder = self.face.decoder
        shape = decoder.landmark_shape(coefficients.identity, coefficients.expression)
        if self.contour:
            # Before the turn: which vertex is outermost depends on the pose, where it lies does
            # not.
            shape = self.contour(shape, coefficients, decoder)
        turned = rotate(shape, rotation_matrix(coefficients.pose[:, :3]))
        return shape, self.face.in_pixels(project(turned, coefficients.pose))

    def second_view(self, coefficients: Coefficients) -> Drawn | None:
        """The face as the identity term sees it a second time, or None without that term."""
        if self.features is None:
            return None
        turn, expression = second_view_change(
            self.recipe.identity, self.seed, self.group, self.step, coefficients.expression
        )
        again = second_view_faces(coefficients, turn, expression, self.face.decoder)
        drawn: Drawn = self.face(again)
        return drawn

    def identity_term(self, drawn: Drawn, second: Drawn, truth: Supervision) -> Tensor:
        """Mean of 1 - cos over the three pairs; photographs without landmarks do not count.

        Args:
            drawn: the faces as they are drawn over the photographs.
            second: the same in their second view.
            truth: the photographs.
        """
        with torch.no_grad():
            # A constant of the loss: neither the photograph nor the recogniser can be changed.
            photograph = self.recognise(truth.images, truth.landmarks)
        # Both renders in one batch: half as many calls of the recogniser.
        images = torch.cat([drawn[0].image, second[0].image])
        # The crop is a constant: else a face could turn in its frame instead of changing.
        landmarks = torch.cat([drawn[1].detach(), second[1].detach()], dim=2)
        render, turned = self.recognise(images, landmarks).chunk(2)
        # Without landmarks a photograph cannot be aligned, and its features would be noise.
        known = truth.landmarks.isfinite().all(1).any(0)
        return identity_loss(photograph, render, turned, known.to(render), self.group.mean)

    def recognise(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Features (B, D) of images (B, 3, S, S) aligned by landmarks (68, 2, B)."""
        assert self.features is not None
        # The features alone: faces are drawn and cosines taken in float32.
        with computing_in(self.recipe.network.precision, images.device):
            return self.features(images, landmarks)
