"""The training step of a network that gives coefficients, pictures of its fits, and its validation.

Validation asks whether identity is learned: coefficients and shapes against synthetic truth.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...export.sheet import to_pictures, with_caption
from ...face.coefficients import Coefficients
from ...losses.landmarks import FRAME
from ...losses.multilevel import TensorBatch
from ...morphable.model import MorphableModel
from ...recipes.regressor import RegressorRecipe
from ...regressors.checkpoint import face_renderer, fresh_network
from ...render.face import Drawn, draw_panels
from ..batches import Photographs, collate, resize_sample
from ..optimise import Row, StepReport, Trainable, gradient_norms
from ..shards import FaceShards
from ..workers import Worker

Batch = TypeVar("Batch", bound=TensorBatch)

OUTSIDE_FACE = ("head", "neck", "left_ear", "right_ear")
"""Regions that do not count in the shape error."""

MODE = "mode_"
"""Start of the names of what is measured of a single identity coefficient."""

_CHUNK = 32


def fits_picture(
    trainer: RegressorTrainer[Any], shards: Photographs, rows: Sequence[int]
) -> NDArray[np.uint8]:
    """An RGB picture of photograph, overlay, shape and albedo of each row, below their headings.

    Where the loss sees the faces a second time, in another view, that render comes last.
    """
    size = trainer.recipe.image_size
    truth = collate([resize_sample(shards.sample(row), size) for row in rows]).to(trainer.device)
    with torch.no_grad():
        # With running statistics: those of six photographs would be another network's.
        found = trainer.regressor.eval()(truth.images)
        second = trainer.second_view(found)
    panels = draw_panels(trainer.face, found, truth.images)
    columns = [truth.images, *panels]
    columns += [second[0].image] if second else []
    names = ("photograph", "overlay", "shape", "albedo", "second view")
    stacks = [np.concatenate(to_pictures(images), axis=0) for images in columns]
    named = [with_caption(stack, name) for stack, name in zip(stacks, names, strict=False)]
    return np.concatenate(named, axis=1)


class RegressorTrainer(Trainable[Batch]):
    """A network in training, with its optimiser and the face it is judged by.

    A method says in `compute_losses` what its loss looks at; everything else is the same for all.
    """

    recipe: RegressorRecipe

    def __init__(self, recipe: RegressorRecipe, model: MorphableModel, worker: Worker) -> None:
        super().__init__(recipe, model.digest, worker)
        self.regressor = fresh_network(recipe, model)
        if worker.start is not None:
            # Before it goes to the device and to the others, which share what it has by then.
            self.regressor.load_state_dict(worker.start)
        self.join_group(self.regressor, worker)
        self.face = face_renderer(recipe, model).to(self.device)

    @property
    @abstractmethod
    def weights(self) -> Any:
        """The recipe's record with the weight of each term of the loss."""

    @abstractmethod
    def compute_losses(self, batch: Batch) -> tuple[Coefficients, dict[str, Tensor]]:
        """What the network finds in a batch, and every term of the loss, unweighted, by name."""

    def second_view(self, coefficients: Coefficients) -> Drawn | None:
        """Faces as the loss sees them a second time, or None where it does not."""
        return None

    def training_step(self, batch: Batch) -> StepReport:
        """Take one step on a batch."""
        # At each step: a validation or a picture may have been made since.
        self.regressor.train()
        before = self.descent.statistics()
        coefficients, terms = self.compute_losses(batch.to(self.device))
        weighted = {name: getattr(self.weights, name) * term for name, term in terms.items()}
        # Before the step, which frees the graph that they are taken from.
        gradients = self._gradients(weighted, coefficients)
        return self.descend(weighted, terms, before, len(coefficients.pose), gradients)

    def _gradients(self, weighted: Mapping[str, Tensor], found: Coefficients) -> dict[str, float]:
        # At the steps that are logged only: each term costs a backward pass to the coefficients.
        if (self.step + 1) % self.recipe.training.log_every:
            return {}
        return gradient_norms(weighted, found)


def validate_regressor(
    shards: FaceShards, model: MorphableModel, trainer: RegressorTrainer[Any], faces: int = 512
) -> Row:
    """How a regressor does on held-out synthetic faces, at the trainer's step.

    `identity_correlation` is the mean over identity coefficients of their correlation with the
    truth, one photograph each; `subject_correlation` the same over the coefficients averaged per
    subject, and `mode_001`, `mode_002` ... its parts, one a coefficient. `shape_mm` is the mean
    distance of the neutral face from the true one after a similarity alignment, averaged per
    subject as well; `shape_one_mm` without averaging; `mean_face_mm` the same for the model's mean.
    `landmark_px` is the mean distance of the projected landmarks in px of the 224 frame.

    Args:
        shards: with true coefficients of `model`.
        model: the face model.
        trainer: of the regressor.
        faces: how many rows are used at most.
    """
    rows = range(min(faces, len(shards)))
    identity, distance = _predict(trainer, shards, rows)
    row = {"step": float(trainer.step), "landmark_px": distance}
    true = shards.coefficients(rows)
    if true is None:
        return row
    # The vector begins with identity, whatever the sizes of the other parts.
    true_identity = true[:, : identity.shape[1]]
    subjects = np.array(shards.subjects)[list(rows)]
    return row | _shape_measures(model, identity, true_identity, subjects)


def correlations(found: NDArray[np.float32], true: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pearson correlation (K,) of each column of two (N, K) arrays; 0 where one is constant."""
    a = found.astype(np.float64) - found.mean(axis=0)
    b = true.astype(np.float64) - true.mean(axis=0)
    # A network that says the same of everybody has correlation 0, not NaN.
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    correlation: NDArray[np.float64] = (a * b).sum(axis=0) / np.maximum(norm, 1e-12)
    return correlation


def shape_error(
    model: MorphableModel, found: NDArray[np.float32], true: NDArray[np.float32]
) -> float:
    """Mean vertex distance in mm between neutral faces (N, K) after a similarity alignment."""
    vertices = _face_vertices(model)
    # Cut before decoding: what does not count is never computed.
    mean = torch.from_numpy(model.mean_shape[vertices].copy())
    basis = torch.from_numpy(model.identity_basis[vertices].copy())
    errors = [
        aligned_distance(mean + basis @ torch.from_numpy(a), mean + basis @ torch.from_numpy(b))
        for a, b in zip(found, true, strict=True)
    ]
    return float(torch.stack(errors).mean())


def aligned_distance(points: Tensor, target: Tensor) -> Tensor:
    """Mean distance of points (V, 3) from their targets after the best similarity (Umeyama)."""
    a, b = points - points.mean(0), target - target.mean(0)
    left, strengths, right = torch.linalg.svd(b.T @ a)
    signs = torch.ones(3, dtype=points.dtype)
    # The least strong direction gives way where the best orthogonal map is a reflection.
    signs[2] = torch.sign(torch.linalg.det(left @ right))
    # torch gives the right factor transposed already.
    rotation = (left * signs) @ right
    scale = (strengths * signs).sum() / a.square().sum()
    distance: Tensor = (scale * a @ rotation.T - b).square().sum(1).sqrt()
    return distance.mean()


def _predict(
    trainer: RegressorTrainer[Any], shards: FaceShards, rows: Sequence[int]
) -> tuple[NDArray[np.float32], float]:
    """Identity (N, K) of the rows and the mean distance of their landmarks, px of the 224 frame."""
    regressor = trainer.regressor.eval()
    identities, distances = [], []
    with torch.no_grad():
        for first in range(0, len(rows), _CHUNK):
            samples = [shards.sample(row) for row in rows[first : first + _CHUNK]]
            sized = [resize_sample(sample, regressor.image_size) for sample in samples]
            truth = collate(sized).to(trainer.device)
            found: Coefficients = regressor(truth.images)
            projected = trainer.face.landmarks(found)
            identities.append(found.identity.cpu().numpy())
            distances.append((projected - truth.landmarks).square().sum(1).sqrt().flatten())
    # Networks of other picture sizes then compare.
    share = FRAME / regressor.image_size
    return np.concatenate(identities), float(torch.cat(distances).nanmean()) * share


def _shape_measures(
    model: MorphableModel,
    identity: NDArray[np.float32],
    true: NDArray[np.float32],
    subjects: NDArray[np.str_],
) -> Row:
    # Averaged over a subject's photographs, what a network learned of people shows above its noise.
    mean, true_mean = _by_subject(identity, subjects), _by_subject(true, subjects)
    modes = correlations(mean, true_mean)
    return {
        "identity_correlation": float(np.mean(correlations(identity, true))),
        "subject_correlation": float(np.mean(modes)),
        "identity_spread": float(identity.std(axis=0).mean()),
        "shape_mm": shape_error(model, mean, true_mean),
        "shape_one_mm": shape_error(model, identity, true),
        "mean_face_mm": shape_error(model, np.zeros_like(true_mean), true_mean),
        **{f"{MODE}{number:03d}": float(r) for number, r in enumerate(modes, start=1)},
    }


def _by_subject(values: NDArray[np.float32], subjects: NDArray[np.str_]) -> NDArray[np.float32]:
    """Mean row of each subject, subjects in sorted order."""
    names, index = np.unique(subjects, return_inverse=True)
    # In double: a subject may have hundreds of rows.
    sums = np.zeros((len(names), values.shape[1]), dtype=np.float64)
    np.add.at(sums, index, values)
    return (sums / np.bincount(index)[:, None]).astype(np.float32)


def _face_vertices(model: MorphableModel) -> NDArray[np.intp]:
    outside = [i for i, name in enumerate(model.region_names) if name in OUTSIDE_FACE]
    return np.flatnonzero(~np.isin(model.region, outside))
