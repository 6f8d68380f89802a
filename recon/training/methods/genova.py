"""`genova`: a decoder of recognition features, with no label and no look at a photograph's pixels.

Three levels keep it honest: renders of a face must be recognised as the person in the photograph;
over a batch the coefficients must be distributed as the model's faces are; and the features of a
render must decode to the face that was rendered.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from ...face.coefficients import Coefficients
from ...losses.distribution import distribution_loss
from ...losses.labelled import batch_mean
from ...losses.supervision import Supervision
from ...morphable.model import MorphableModel
from ...recipes.baselines import FeatureWeights, GenovaRecipe
from ...regressors.feature_regressor import FeatureRegressor, Person
from ...render.face import RenderedFace
from .random_views import ViewSampler
from .trainer import RegressorTrainer, Surroundings


class GenovaTrainer(RegressorTrainer[Supervision]):
    """The decoder in training; arguments as for `RegressorTrainer`."""

    regressor: FeatureRegressor

    def __init__(self, recipe: GenovaRecipe, model: MorphableModel, around: Surroundings) -> None:
        self._recipe = recipe
        super().__init__(recipe, model, around)
        peers = around.peers
        self.views = ViewSampler(recipe.views, model, around.seed, peers.rank, peers.count)

    @property
    def recipe(self) -> GenovaRecipe:
        """How it is trained."""
        return self._recipe

    @property
    def weights(self) -> FeatureWeights:
        """Of the levels."""
        return self._recipe.weights

    def learned(self) -> nn.Module:
        """The decoder alone: recogniser and landmark detector are frozen."""
        return self.regressor.decoder

    def judge(self, batch: Supervision) -> tuple[Coefficients, dict[str, Tensor]]:
        """The faces of a batch and the levels of their loss."""
        with torch.no_grad():
            photographs = self.regressor.recogniser(batch.images, batch.landmarks)
        person: Person = self.network(photographs)
        renders = self._features(self._drawn(person))
        levels = self.levels(photographs, person, renders)
        return self.regressor.placed(person, batch.landmarks), levels

    def levels(self, photographs: Tensor, person: Person, renders: Tensor) -> dict[str, Tensor]:
        """The three levels.

        Args:
            photographs: features (B, D).
            person: what they decode to.
            renders: features (B x views, D) of the faces drawn from it.
        """
        across, views = self.peers.mean, self._recipe.views.count
        unlike = 1.0 - cosine_similarity(photographs.repeat_interleave(views, 0), renders, dim=1)
        again: Person = self.network(renders.detach())
        rendered = person.joined().detach().repeat_interleave(views, 0)
        return {
            "identity": batch_mean(unlike, across),
            "distribution": distribution_loss(person.joined(), across),
            "loopback": batch_mean((again.joined() - rendered).square().mean(1), across),
        }

    def second_view(self, coefficients: Coefficients) -> RenderedFace:
        """The faces in the first of their random views."""
        person = Person(coefficients.identity, coefficients.albedo)
        views = self.views.faces(person, self.step, self.face.decoder)
        every = self._recipe.views.count
        first = Coefficients(*(part[::every] for part in vars(views).values()))
        drawn: RenderedFace = self.face(first)
        return drawn

    def _drawn(self, person: Person) -> RenderedFace:
        drawn: RenderedFace = self.face(self.views.faces(person, self.step, self.face.decoder))
        return drawn

    def _features(self, drawn: RenderedFace) -> Tensor:
        features: Tensor = self.regressor.recogniser(
            drawn.rendering.image, drawn.landmarks.detach()
        )
        return features
