"""Methods that learn from coefficients: `tran` (fitted) and `richardson` (random renders)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...face.coefficients import Coefficients, CoefficientSizes
from ...losses.landmarks import ShapeDistance, batch_mean, landmark_distance
from ...losses.photometric import TensorBatch
from ...losses.prior import asymmetric_loss
from ...morphable.model import MorphableModel
from ...recipes.baselines import LabelWeights, RichardsonRecipe, TranRecipe
from ...regressors.regressor import RefiningRegressor
from ..data.batches import collate
from ..data.shards import Sample
from ..optimise import computing_in
from ..workers import Surroundings
from .trainer import RegressorTrainer

_PASSES = 4
"""Stream of the number of passes; second views have 1 and 2, a recogniser's points 3."""


@dataclass(frozen=True)
class LabelledFaces(TensorBatch):
    """A batch of photographs with labels.

    Attributes:
        images: (B, 3, S, S) float32 RGB in [0, 1].
        labels: (B, total) float32 coefficients.
    """

    images: Tensor
    labels: Tensor

    def faces(self, sizes: CoefficientSizes) -> Coefficients:
        """The labels' parts."""
        return Coefficients.from_vector(self.labels, sizes)


def join_labels(
    labels: NDArray[np.float32],
    samples: Sequence[Sample],
    rows: Sequence[int],
    places: Sequence[int],
    step: int,
) -> LabelledFaces:
    """The batch of photographs with the labels (rows, total) of their rows; see `Join`."""
    return LabelledFaces(collate(samples).images, torch.from_numpy(labels[list(rows)]))


class TranTrainer(RegressorTrainer[LabelledFaces]):
    """The regressor in training on labels; arguments as for `RegressorTrainer`."""

    recipe: TranRecipe

    @property
    def weights(self) -> LabelWeights:
        """Of the terms."""
        return self.recipe.weights

    def compute_losses(self, batch: LabelledFaces) -> tuple[Coefficients, dict[str, Tensor]]:
        """The faces of a batch and how far they are from their labels."""
        with computing_in(self.recipe.network.precision, self.device):
            found: Coefficients = self.network(batch.images)
        return found, self.terms(found, batch.faces(self.regressor.sizes))

    def terms(self, found: Coefficients, label: Coefficients) -> dict[str, Tensor]:
        """Who it is by the asymmetric loss, the photograph's own coefficients by squares."""
        all_reduce, sides = self.peers.mean, self.recipe.asymmetry
        person = partial(asymmetric_loss, over=sides.over, under=sides.under, all_reduce=all_reduce)
        # Angles, shifts and scale have no common unit; what they move the landmarks by has.
        off = landmark_distance(found, label, self.face.decoder)
        return {
            "identity": person(found.identity, label.identity),
            "albedo": person(found.albedo, label.albedo),
            # Plain squares: only who it is was found to be drawn to the mean face.
            "expression": batch_mean((found.expression - label.expression).square(), all_reduce),
            "pose": batch_mean(off, all_reduce),
            "light": batch_mean((found.light - label.light).square(), all_reduce),
        }


class RichardsonTrainer(RegressorTrainer[LabelledFaces]):
    """The refining regressor in training; arguments as for `RegressorTrainer`."""

    recipe: RichardsonRecipe
    regressor: RefiningRegressor

    def __init__(
        self, recipe: RichardsonRecipe, model: MorphableModel, around: Surroundings
    ) -> None:
        super().__init__(recipe, model, around)
        # Expression enters with identity: in the shape alone the two cannot be told apart.
        self.shape = ShapeDistance(self.face.decoder).to(self.device)

    @property
    def weights(self) -> LabelWeights:
        """Of the terms; `identity` is that of the whole shape, expression included."""
        return self.recipe.weights

    def compute_losses(self, batch: LabelledFaces) -> tuple[Coefficients, dict[str, Tensor]]:
        """One more pass on every photograph, and how far its result is from the truth."""
        # One pass is learned from wherever the earlier ones lead; no gradient through their
        # renders.
        last = self.faces_so_far(batch.images)
        with computing_in(self.recipe.network.precision, self.device):
            found: Coefficients = self.network(batch.images, last)
        return found, self.terms(found, batch.faces(self.regressor.sizes))

    def terms(self, found: Coefficients, true: Coefficients) -> dict[str, Tensor]:
        """Shape in mm², albedo and light in squared coefficients, pose in px² of its landmarks."""
        all_reduce, decoder = self.peers.mean, self.face.decoder
        return {
            "identity": batch_mean(self.shape(found, true), all_reduce),
            "albedo": batch_mean((found.albedo - true.albedo).square(), all_reduce),
            "pose": batch_mean(landmark_distance(found, true, decoder), all_reduce),
            "light": batch_mean((found.light - true.light).square(), all_reduce),
        }

    @torch.no_grad()
    def faces_so_far(self, images: Tensor) -> Coefficients:
        """Each photograph's face after a random number of passes, fewer than all."""
        passes = torch.from_numpy(self._passes(len(images))).to(images.device)
        # With running statistics, as in use: renders of half-trained passes stay out of them.
        self.regressor.eval()
        with computing_in(self.recipe.network.precision, self.device):
            reached = [self.regressor.refine(images, 0)]
            # All are computed for the whole batch, and each photograph takes its own number of
            # them.
            for _ in range(self.regressor.passes - 1):
                reached.append(self.regressor(images, reached[-1]))
        self.regressor.train()
        chosen = reached[0]
        for number, faces in enumerate(reached):
            chosen = _choose(passes == number, faces, chosen)
        return chosen

    def _passes(self, share: int) -> np.ndarray:
        """Drawn by seed, step and place in the batch of all workers: nothing needs saving."""
        random = np.random.default_rng([self.seed, self.step, 0, _PASSES])
        # For the batch of all workers, of which each takes every `count`-th, as it does
        # photographs.
        drawn = random.integers(self.regressor.passes, size=share * self.peers.count)
        return drawn[self.peers.rank :: self.peers.count]


def _choose(which: Tensor, there: Coefficients, here: Coefficients) -> Coefficients:
    """The faces of one batch where `which` (B,) says so, of another elsewhere."""
    pairs = zip(vars(there).values(), vars(here).values(), strict=True)
    # A view as long as the part has axes, or a (B,) would be spread over the wrong one.
    parts = (torch.where(which.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs)
    return Coefficients(*parts)
