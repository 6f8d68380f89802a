"""`genova`: a decoder of recognition features, trained on renders of random views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from ...face.coefficients import Coefficients
from ...face.crop import frame_mean_face
from ...losses.landmarks import batch_mean
from ...losses.photometric import Supervision
from ...losses.prior import distribution_loss
from ...morphable.decoder import FaceDecoder
from ...morphable.model import MorphableModel
from ...recipes.baselines import FeatureWeights, GenovaRecipe, RandomViews
from ...regressors.feature_regressor import FeatureRegressor, Person
from ...render.face import RenderedFace
from ...synthetic.appearance import random_expression, random_light
from ..workers import Surroundings
from .ours import centring_translation
from .trainer import RegressorTrainer

_VIEWS = 5
"""Stream of the views; second views have 1 and 2, a recogniser's points 3, passes 4."""


@dataclass(frozen=True)
class ViewSampler:
    """Draws the views of every photograph of every step.

    They follow from the seed, the step, the photograph's place in the batch of all workers and the
    view's number: nothing needs saving, and two workers draw what one would.

    Attributes:
        recipe: how many views, how far turned.
        model: the face model, whose expressions are drawn as those of synthetic faces.
        seed: of the training.
        rank: which worker this is.
        workers: how many share a batch.
    """

    recipe: RandomViews
    model: MorphableModel
    seed: int
    rank: int = 0
    workers: int = 1

    def faces(self, person: Person, step: int, decoder: FaceDecoder) -> Coefficients:
        """Every face in all its views, (B x views, ...), the views of a face one after another.

        Identity and albedo keep their gradient; the rest is drawn and has none.
        """
        count, like = self.recipe.count, person.identity
        # Each face `count` times in a row, as the streams below are listed.
        identity, albedo = (
            part.repeat_interleave(count, 0) for part in (person.identity, person.albedo)
        )
        streams = [
            # The place in the batch of all workers: its share of it a worker has at rank, rank +
            # workers ...
            np.random.default_rng([self.seed, step, self.rank + place * self.workers, view, _VIEWS])
            for place in range(len(like))
            for view in range(count)
        ]
        angles = torch.stack([self._angles(stream) for stream in streams])
        expression = np.stack([random_expression(stream, self.model) for stream in streams])
        light = torch.stack([random_light(stream) for stream in streams])
        spread = torch.from_numpy(expression).to(like)
        # A constant: the face must not grow or move to please the recogniser.
        pose = self._pose(identity.detach(), spread, angles.to(like), decoder)
        return Coefficients(identity, spread, albedo, pose, light.to(like))

    def _angles(self, stream: np.random.Generator) -> Tensor:
        limits = np.radians([self.recipe.pitch, self.recipe.yaw, self.recipe.roll])
        return torch.from_numpy(stream.uniform(-1.0, 1.0, 3) * limits)

    def _pose(
        self, identity: Tensor, expression: Tensor, angles: Tensor, decoder: FaceDecoder
    ) -> Tensor:
        """Poses (B, 7) at the scale of the mean face in its frame, in the middle of the picture."""
        pose = identity.new_zeros(len(identity), 7)
        pose[:, :3] = angles
        # Scale first: the middle of the landmarks moves with it.
        pose[:, 6] = frame_mean_face(self.model).scale
        pose[:, 3:6] = centring_translation(identity, expression, pose, decoder)
        return pose


class GenovaTrainer(RegressorTrainer[Supervision]):
    """The decoder in training; arguments as for `RegressorTrainer`."""

    recipe: GenovaRecipe
    regressor: FeatureRegressor

    def __init__(self, recipe: GenovaRecipe, model: MorphableModel, around: Surroundings) -> None:
        super().__init__(recipe, model, around)
        peers = around.peers
        self.views = ViewSampler(recipe.views, model, around.seed, peers.rank, peers.count)

    @property
    def weights(self) -> FeatureWeights:
        """Of the terms."""
        return self.recipe.weights

    def learned(self) -> nn.Module:
        """The decoder alone: recogniser and landmark detector are frozen."""
        return self.regressor.decoder

    def compute_losses(self, batch: Supervision) -> tuple[Coefficients, dict[str, Tensor]]:
        """The faces of a batch and the terms of their loss."""
        with torch.no_grad():
            # No gradient reaches the decoder through its own input, and the recogniser is frozen.
            photographs = self.regressor.recogniser(batch.images, batch.landmarks)
        person: Person = self.network(photographs)
        views = self.views.faces(person, self.step, self.face.decoder)
        renders = self._features(self.face(views))
        terms = self.terms(photographs, person, renders)
        return self.regressor.place(person, batch.landmarks), terms

    def terms(self, photographs: Tensor, person: Person, renders: Tensor) -> dict[str, Tensor]:
        """The three terms.

        Args:
            photographs: features (B, D).
            person: what they decode to.
            renders: features (B x views, D) of the faces drawn from it.
        """
        all_reduce, views = self.peers.mean, self.recipe.views.count
        unlike = 1.0 - cosine_similarity(photographs.repeat_interleave(views, 0), renders, dim=1)
        # Detached, or the render would learn to be easy to decode instead of the decoder to decode
        # it.
        again: Person = self.network(renders.detach())
        # The render's truth is a label here, as in Genova et al.'s loop-back.
        rendered = person.join().detach().repeat_interleave(views, 0)
        return {
            "identity": batch_mean(unlike, all_reduce),
            "distribution": distribution_loss(person.join(), all_reduce),
            "loopback": batch_mean((again.join() - rendered).square().mean(1), all_reduce),
        }

    def second_view(self, coefficients: Coefficients) -> RenderedFace:
        """The faces in the first of their random views."""
        person = Person(coefficients.identity, coefficients.albedo)
        views = self.views.faces(person, self.step, self.face.decoder)
        every = self.recipe.views.count
        # Views of a face follow one another: every `count`-th is the first of its face.
        first = Coefficients(*(part[::every] for part in vars(views).values()))
        drawn: RenderedFace = self.face(first)
        return drawn

    def _features(self, drawn: RenderedFace) -> Tensor:
        features: Tensor = self.regressor.recogniser(
            # Detached: a face could otherwise lower the loss by where it is cropped.
            drawn.rendering.image,
            drawn.landmarks.detach(),
        )
        return features
