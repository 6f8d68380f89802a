"""The face once more, under another pose and expression (METHOD, L_id: the render I'')."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...face.camera import rotate, rotation_matrix
from ...face.coefficients import Coefficients
from ...morphable.decoder import FaceDecoder
from ...recipes.parts import IdentityRecipe

_TURN, _EXPRESSION = 1, 2


@dataclass(frozen=True)
class Change:
    """What is added to the faces of a batch.

    Attributes:
        turn: (B, 3) pitch, yaw and roll in radians.
        expression: (B, K) standard deviations.
    """

    turn: Tensor
    expression: Tensor


@dataclass(frozen=True)
class SecondView:
    """Draws the change of every photograph of every step.

    It follows from the seed, the step and the photograph's place in the batch of all workers, so
    there is nothing to save: a resumed training draws what it would have drawn, and two workers
    draw what one would.

    Attributes:
        recipe: how far pose and expression change.
        seed: of the training.
        rank: which worker this is.
        workers: how many share a batch.
    """

    recipe: IdentityRecipe
    seed: int
    rank: int = 0
    workers: int = 1

    def change(self, step: int, like: Tensor) -> Change:
        """The change for a batch of expression coefficients (B, K) at a step.

        Angles are uniform within the recipe's limits, the expression's change is normal.
        """
        places = self.rank + self.workers * len(like)
        uniform = self._random(step, _TURN).uniform(-1.0, 1.0, (places, 3))
        normal = self._random(step, _EXPRESSION).standard_normal((places, like.shape[1]))
        limits = np.radians([self.recipe.pitch, self.recipe.yaw, self.recipe.roll])
        return Change(
            self._share(uniform * limits, like), self._share(normal * self.recipe.expression, like)
        )

    def _random(self, step: int, stream: int) -> np.random.Generator:
        # Four numbers, where the order and augmentation of photographs are seeded by three.
        return np.random.default_rng([self.seed, step, 0, stream])

    def _share(self, values: np.ndarray, like: Tensor) -> Tensor:
        return torch.from_numpy(values[self.rank :: self.workers]).to(like)


def seen_again(coefficients: Coefficients, change: Change, decoder: FaceDecoder) -> Coefficients:
    """The same people, turned, with another expression and in the middle of the picture.

    Pose and expression are constants of the result: the view is chosen at random, so it says
    nothing of the photograph's own. Identity, albedo and light keep their gradient.
    """
    expression = coefficients.expression.detach() + change.expression
    pose = coefficients.pose.detach().clone()
    pose[:, :3] += change.turn
    pose[:, 3:6] = centred(coefficients.identity.detach(), expression, pose, decoder)
    return replace(coefficients, expression=expression, pose=pose)


@torch.no_grad()
def centred(identity: Tensor, expression: Tensor, pose: Tensor, decoder: FaceDecoder) -> Tensor:
    """Translations (B, 3) that put the middle of the landmarks in that of the picture.

    A model's origin may lie deep in the head: a face turned about it could leave the picture.
    """
    points = decoder.landmark_shape(identity, expression)[decoder.landmarks >= 0]
    turned = rotate(points, rotation_matrix(pose[:, :3]))
    return (-turned.mean(0) * pose[:, 6]).T
