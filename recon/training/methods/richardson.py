"""`richardson`: random renders with their coefficients, refined on the network's own render.

The pairs of picture and coefficients are those of `facebench synth faces`. In training a photograph
enters with the face after a random number of passes, as the network in use would have left it, so
that one step costs one pass with a gradient and the network learns to correct its own mistakes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...face.coefficients import Coefficients
from ...losses.labelled import ShapeDistance, batch_mean, landmark_distance
from ...morphable.model import MorphableModel
from ...recipes.baselines import LabelWeights, RichardsonRecipe
from ...regressors.refining import RefiningRegressor
from ..optimise.precision import computing_in
from .labelled import LabelledFaces
from .trainer import RegressorTrainer, Surroundings

_PASSES = 4
"""Stream of the number of passes; second views have 1 and 2, a recogniser's points 3."""


class RichardsonTrainer(RegressorTrainer[LabelledFaces]):
    """The refining regressor in training; arguments as for `RegressorTrainer`."""

    regressor: RefiningRegressor

    def __init__(
        self, recipe: RichardsonRecipe, model: MorphableModel, around: Surroundings
    ) -> None:
        self._recipe = recipe
        super().__init__(recipe, model, around)
        self.shape = ShapeDistance(self.face.decoder).to(self.device)

    @property
    def recipe(self) -> RichardsonRecipe:
        """How it is trained."""
        return self._recipe

    @property
    def weights(self) -> LabelWeights:
        """Of the levels; `identity` is that of the whole shape, expression included."""
        return self._recipe.weights

    def judge(self, batch: LabelledFaces) -> tuple[Coefficients, dict[str, Tensor]]:
        """One more pass on every photograph, and how far its result is from the truth."""
        last = self.reached(batch.images)
        with computing_in(self._recipe.network.precision, self.device):
            found: Coefficients = self.network(batch.images, last)
        return found, self.levels(found, batch.faces(self.regressor.sizes))

    def levels(self, found: Coefficients, true: Coefficients) -> dict[str, Tensor]:
        """Shape in mm², albedo and light in squared coefficients, pose in px² of its landmarks."""
        across, decoder = self.peers.mean, self.face.decoder
        return {
            "identity": batch_mean(self.shape(found, true), across),
            "albedo": batch_mean((found.albedo - true.albedo).square(), across),
            "pose": batch_mean(landmark_distance(found, true, decoder), across),
            "light": batch_mean((found.light - true.light).square(), across),
        }

    @torch.no_grad()
    def reached(self, images: Tensor) -> Coefficients:
        """Each photograph's face after a random number of passes, fewer than all."""
        passes = torch.from_numpy(self._passes(len(images))).to(images.device)
        self.regressor.eval()
        with computing_in(self._recipe.network.precision, self.device):
            reached = [self.regressor.refined(images, 0)]
            for _ in range(self.regressor.passes - 1):
                reached.append(self.regressor(images, reached[-1]))
        self.regressor.train()
        chosen = reached[0]
        for number, faces in enumerate(reached):
            chosen = _chosen(passes == number, faces, chosen)
        return chosen

    def _passes(self, share: int) -> np.ndarray:
        """Drawn by seed, step and place in the batch of all workers: nothing needs saving."""
        random = np.random.default_rng([self.seed, self.step, 0, _PASSES])
        drawn = random.integers(self.regressor.passes, size=share * self.peers.count)
        return drawn[self.peers.rank :: self.peers.count]


def _chosen(which: Tensor, there: Coefficients, here: Coefficients) -> Coefficients:
    """The faces of one batch where `which` (B,) says so, of another elsewhere."""
    pairs = zip(vars(there).values(), vars(here).values(), strict=True)
    parts = (torch.where(which.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs)
    return Coefficients(*parts)
