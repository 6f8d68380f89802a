"""Trainers of the baselines: `genova` (recognition features), `tran`, `richardson` (coefficients).

`genova` is trained on renders of random views, `tran` on fitted faces, `richardson` on random
renders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from ...face.coefficients import Coefficients, CoefficientSizes
from ...face.crop import mean_face_pose
from ...losses.landmarks import ShapeDistance, batch_mean, landmark_distance
from ...losses.multilevel import Supervision, TensorBatch
from ...losses.prior import asymmetric_loss, distribution_loss
from ...morphable.model import MorphableModel
from ...recipes.baselines import (
    FeatureWeights,
    GenovaRecipe,
    LabelWeights,
    RandomViews,
    RichardsonRecipe,
    TranRecipe,
)
from ...regressors.regressor import FeatureRegressor, People, RefiningRegressor
from ...render.face import Drawn, FaceDecoder
from ...synthetic.appearance import random_expression, random_light
from ..batches import collate
from ..optimise import computing_in
from ..shards import Sample
from ..workers import ProcessGroup, Worker
from .ours import centring_translation
from .trainer import RegressorTrainer

_VIEWS = 5
"""Stream of the views; second views have 1 and 2, a recogniser's points 3, passes 4."""

_PASSES = 4
"""Stream of the number of passes; second views have 1 and 2, a recogniser's points 3."""


def random_views(
    recipe: RandomViews,
    model: MorphableModel,
    decoder: FaceDecoder,
    people: People,
    streams: Sequence[Sequence[np.random.Generator]],
) -> Coefficients:
    """Every face in all its views, (B x views, ...), the views of a face one after another.

    Identity and albedo keep their gradient; the rest is drawn and has none.

    Args:
        recipe: how far turned.
        model: the face model, whose expressions are drawn as those of synthetic faces.
        decoder: of the model.
        people: B faces.
        streams: of chance, one for each view of each face.
    """
    like, every = people[0], [stream for own in streams for stream in own]
    # Each face as often in a row as it has views, as the streams are listed.
    identity, albedo = (part.repeat_interleave(len(streams[0]), 0) for part in people)
    limits = np.radians([recipe.pitch, recipe.yaw, recipe.roll])
    angles = np.stack([stream.uniform(-1.0, 1.0, 3) * limits for stream in every])
    expression = np.stack([random_expression(stream, model) for stream in every])
    light = torch.stack([random_light(stream) for stream in every])
    spread = torch.from_numpy(expression).to(like)
    # In the middle of the picture, at the scale of the mean face in its frame. A constant: the face
    # must not grow or move to please the recogniser.
    pose = identity.new_zeros(len(identity), 7)
    pose[:, :3] = torch.from_numpy(angles).to(like)
    # Scale first: the middle of the landmarks moves with it.
    pose[:, 6] = float(mean_face_pose(model)[6])
    pose[:, 3:6] = centring_translation(identity.detach(), spread, pose, decoder)
    return Coefficients(identity, spread, albedo, pose, light.to(like))


def view_streams(
    seed: int, step: int, group: ProcessGroup, share: int, views: int
) -> list[list[np.random.Generator]]:
    """Streams of chance of so many views of each of a worker's share of photographs.

    They follow from the seed, the step, the photograph's place in the batch of all workers and the
    view's number: nothing needs saving, and two workers draw what one would.
    """
    # Of the batch of all workers a worker has the places rank, rank + count ...
    places = [group.rank + place * group.count for place in range(share)]
    return [
        [np.random.default_rng([seed, step, place, view, _VIEWS]) for view in range(views)]
        for place in places
    ]


class GenovaTrainer(RegressorTrainer[Supervision]):
    """The decoder in training; arguments as for `RegressorTrainer`."""

    recipe: GenovaRecipe
    regressor: FeatureRegressor

    def __init__(self, recipe: GenovaRecipe, model: MorphableModel, worker: Worker) -> None:
        super().__init__(recipe, model, worker)
        self._model = model

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
        people: People = self.network(photographs)
        rendering, landmarks = self.face(self.views(people))
        # Detached: a face could otherwise lower the loss by where it is cropped.
        renders = self.regressor.recogniser(rendering.image, landmarks.detach())
        terms = self.terms(photographs, people, renders)
        return self.regressor.place(people, batch.landmarks), terms

    def views(self, people: People) -> Coefficients:
        """The faces of a step's share of photographs in all their views."""
        count, group = self.recipe.views.count, self.group
        streams = view_streams(self.seed, self.step, group, len(people[0]), count)
        return random_views(self.recipe.views, self._model, self.face.decoder, people, streams)

    def terms(self, photographs: Tensor, people: People, renders: Tensor) -> dict[str, Tensor]:
        """The three terms.

        Args:
            photographs: features (B, D).
            people: what they decode to.
            renders: features (B x views, D) of the faces drawn from it.
        """
        all_reduce, views = self.group.mean, self.recipe.views.count
        unlike = 1.0 - cosine_similarity(photographs.repeat_interleave(views, 0), renders, dim=1)
        # Detached, or the render would learn to be easy to decode instead of the decoder to decode
        # it.
        again = torch.cat(self.network(renders.detach()), dim=1)
        who = torch.cat(people, dim=1)
        # The render's truth is a label here, as in Genova et al.'s loop-back.
        rendered = who.detach().repeat_interleave(views, 0)
        return {
            "identity": batch_mean(unlike, all_reduce),
            "distribution": distribution_loss(who, all_reduce),
            "loopback": batch_mean((again - rendered).square().mean(1), all_reduce),
        }

    def second_view(self, coefficients: Coefficients) -> Drawn:
        """The faces in the first of their random views."""
        views = self.views((coefficients.identity, coefficients.albedo))
        every = self.recipe.views.count
        # Views of a face follow one another: every `count`-th is the first of its face.
        first = Coefficients(*(part[::every] for part in vars(views).values()))
        drawn: Drawn = self.face(first)
        return drawn


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
        all_reduce, sides = self.group.mean, self.recipe.asymmetry
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

    def __init__(self, recipe: RichardsonRecipe, model: MorphableModel, worker: Worker) -> None:
        super().__init__(recipe, model, worker)
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
        all_reduce, decoder = self.group.mean, self.face.decoder
        return {
            "identity": batch_mean(self.shape(found, true), all_reduce),
            "albedo": batch_mean((found.albedo - true.albedo).square(), all_reduce),
            "pose": batch_mean(landmark_distance(found, true, decoder), all_reduce),
            "light": batch_mean((found.light - true.light).square(), all_reduce),
        }

    @torch.no_grad()
    def faces_so_far(self, images: Tensor) -> Coefficients:
        """Each photograph's face after a random number of passes, fewer than all."""
        passes = torch.from_numpy(self._random_passes(len(images))).to(images.device)
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
            chosen = faces.where(passes == number, chosen)
        return chosen

    def _random_passes(self, share: int) -> np.ndarray:
        """Drawn by seed, step and place in the batch of all workers: nothing needs saving."""
        random = np.random.default_rng([self.seed, self.step, 0, _PASSES])
        # For the batch of all workers, of which each takes every `count`-th, as it does
        # photographs.
        drawn = random.integers(self.regressor.passes, size=share * self.group.count)
        return drawn[self.group.rank :: self.group.count]
