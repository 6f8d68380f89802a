"""The identity level of a batch: recognition features of photograph, render and second render."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...face.coefficients import Coefficients
from ...losses.across import Across
from ...losses.identity import IdentityFeatures, identity_loss
from ...losses.supervision import Supervision
from ...network.vision_weights import EMBEDDED, embedded_network
from ...recipes.parts import IdentityRecipe
from ...render.face import FaceRenderer, RenderedFace
from ...vision.recognition import make_recogniser
from ..optimise.precision import computing_in
from .second_view import SecondView, seen_again


@dataclass(frozen=True)
class IdentityLevel:
    """Computes the level.

    Attributes:
        features: the frozen recogniser with its alignment.
        face: draws the second render.
        view: chooses its pose and expression.
        precision: of the recipe, in which the recogniser computes; faces are drawn in float32.
        across: sums up the photographs of all workers.
    """

    features: IdentityFeatures
    face: FaceRenderer
    view: SecondView
    precision: str
    across: Across

    def __call__(
        self, coefficients: Coefficients, drawn: RenderedFace, truth: Supervision, step: int
    ) -> Tensor:
        """Mean of 1 - cos over the three pairs; photographs without landmarks do not count.

        Args:
            coefficients: of the batch.
            drawn: the faces as they are drawn over the photographs.
            truth: the photographs.
            step: from 0; decides the second view.
        """
        second = self.second(coefficients, step)
        with torch.no_grad():
            photograph = self.recognise(truth.images, truth.landmarks)
        render, turned = self._of_renders(drawn, second).chunk(2)
        known = truth.landmarks.isfinite().all(1).any(0)
        return identity_loss(photograph, render, turned, known.to(render), self.across)

    def second(self, coefficients: Coefficients, step: int) -> RenderedFace:
        """The second render of a batch at a step."""
        change = self.view.change(step, coefficients.expression)
        drawn: RenderedFace = self.face(seen_again(coefficients, change, self.face.decoder))
        return drawn

    def _of_renders(self, *drawn: RenderedFace) -> Tensor:
        images = torch.cat([face.rendering.image for face in drawn])
        landmarks = torch.cat([face.landmarks.detach() for face in drawn], dim=2)
        return self.recognise(images, landmarks)

    def recognise(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Features (B, D) of images (B, 3, S, S) aligned by landmarks (68, 2, B)."""
        with computing_in(self.precision, images.device):
            return self.features(images, landmarks)


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
