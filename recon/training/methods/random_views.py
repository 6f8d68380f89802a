"""Faces in views drawn at random: pose, light and expression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...face.coefficients import Coefficients
from ...face.crop import frame_mean_face
from ...morphable.decoder import FaceDecoder
from ...morphable.model import MorphableModel
from ...recipes.baselines import RandomViews
from ...regressors.feature_regressor import Person
from ...synthetic.appearance import random_expression, random_light
from .second_view import centred

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
        identity, albedo = (
            part.repeat_interleave(count, 0) for part in (person.identity, person.albedo)
        )
        streams = [
            np.random.default_rng([self.seed, step, self.rank + place * self.workers, view, _VIEWS])
            for place in range(len(like))
            for view in range(count)
        ]
        angles = torch.stack([self._angles(stream) for stream in streams])
        expression = np.stack([random_expression(stream, self.model) for stream in streams])
        light = torch.stack([random_light(stream) for stream in streams])
        spread = torch.from_numpy(expression).to(like)
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
        pose[:, 6] = frame_mean_face(self.model).scale
        pose[:, 3:6] = centred(identity, expression, pose, decoder)
        return pose
