"""Faces fitted to the photographs of a training set, pooled per person: the labels of `tran`.

Fits are written piece by piece, each by rename, so that a command that was stopped goes on where it
was, and many processes can share the work.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ....errors import FacebenchError
from ...face.coefficients import CoefficientSizes
from ...files.tables import write_table
from ...files.text import hold_to_plan
from ...files.writing import atomic_write
from ...fitting.fitter import Fit, Fitter
from ...losses.multilevel import class_weights
from ...morphable.load import load_model
from ...morphable.model import MorphableModel
from ..batches import collate, read_samples, resize_sample
from ..shards import FaceShards

PIECE = 64
"""Photographs that are fitted as one batch and written as one file."""

LEAST_RESIDUAL = 0.5
"""px of the 224 frame: landmarks are not known better, so a fit counts no more below it."""

_FRAME = 224.0
# What any face model has a surface for: hair, glasses and the mouth's inside would pull colours.
_SKIN = ("skin", "l_brow", "r_brow", "l_eye", "r_eye", "nose", "u_lip", "l_lip")


@dataclass(frozen=True)
class Labelling:
    """What is fitted, to what, and where it is kept; small, to be sent to any process.

    Attributes:
        data: folder of shards.
        model: the face model, as `load_model` takes it.
        folder: where the fits are kept.
        rows: photographs to fit, from the first.
    """

    data: Path
    model: str
    folder: Path
    rows: int

    @classmethod
    def claim(cls, data: Path, model: str, folder: Path, limit: int | None) -> Labelling:
        """The labelling of a folder's shards, noted in the folder of the fits.

        Raises:
            FacebenchError: unusable shards or model, or the fits there are of other photographs.
        """
        shards = FaceShards(data, limit)
        # Before the folder is claimed: a refused job must leave none of its marks.
        shards.check_model(_model(model))
        folder.mkdir(parents=True, exist_ok=True)
        plan = {"photographs": shards.ids_digest(), "face model": _model(model).digest}
        hold_to_plan(folder / "plan.json", plan, folder)
        return cls(data, model, folder, len(shards))

    def pieces(self) -> list[int]:
        """First row of every piece."""
        return list(range(0, self.rows, PIECE))

    def missing(self) -> list[int]:
        """First row of every piece that is not written yet."""
        return [first for first in self.pieces() if not self.path(first).is_file()]

    def path(self, first: int) -> Path:
        """File of the piece that starts at a row."""
        # The last row is part of the name, so a training with another limit fits its last piece
        # anew.
        last = min(first + PIECE, self.rows)
        return self.folder / f"rows-{first:07d}-{last:07d}.parquet"


def fit_piece(labelling: Labelling, first: int) -> None:
    """Fit the photographs of a piece and write their faces.

    A photograph that cannot be read or fitted gets weight 0.

    Raises:
        FacebenchError: the model or the shards cannot be used.
    """
    shards = _shards(labelling.data, labelling.rows)
    rows = range(first, min(first + PIECE, labelling.rows))
    start = time.perf_counter()
    vectors, weights = _fit_rows(shards, labelling, rows)
    # The fitter takes a piece as one batch: a photograph has only its share of the time.
    seconds = [(time.perf_counter() - start) / len(rows)] * len(rows)
    table = pa.table({"coefficients": list(vectors), "weight": weights, "seconds": seconds})
    # By rename, because a piece that is there counts as done.
    with atomic_write(labelling.path(first)) as draft:
        write_table(table, draft)


def read_labels(labelling: Labelling, sizes: CoefficientSizes) -> NDArray[np.float32]:
    """The label (total,) of every row: its own fit, with the face pooled over its person's fits.

    Raises:
        FacebenchError: not all photographs have been fitted.
    """
    own, weights = read_fits(labelling)
    subjects = _shards(labelling.data, labelling.rows).subjects
    # Pose, light and expression are the photograph's own and are never pooled.
    albedo = sizes.identity + sizes.expression
    person = np.r_[: sizes.identity, albedo : albedo + sizes.albedo]
    own[:, person] = pool_by_subject(own[:, person], weights, subjects)
    return own


def read_fits(labelling: Labelling) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The fit (rows, total) of every photograph and how much it counts (rows,).

    Raises:
        FacebenchError: not all photographs have been fitted.
    """
    if missing := labelling.missing():
        raise FacebenchError(
            f"{len(missing)} pieces of the labels in {labelling.folder} are missing",
            "start the training again: it fits them first",
        )
    tables = [pq.read_table(labelling.path(first)) for first in labelling.pieces()]
    vectors = [np.stack(table["coefficients"].to_numpy(zero_copy_only=False)) for table in tables]
    weights = np.concatenate([table["weight"].to_numpy() for table in tables])
    return np.concatenate(vectors).astype(np.float32), weights


def label_minutes(folder: Path) -> float:
    """Minutes that the fits in a folder took, one after another; 0 where there are none."""
    tables = (pq.read_table(path, columns=["seconds"]) for path in folder.glob("rows-*.parquet"))
    return sum(float(np.sum(table["seconds"].to_numpy())) for table in tables) / 60.0


def pool_by_subject(
    faces: NDArray[np.float32], weights: NDArray[np.float64], subjects: Sequence[str]
) -> NDArray[np.float32]:
    """Each row's (N, K) replaced by the weighted mean over the rows of its subject (N,).

    Where none of a subject's photographs could be fitted, the mean face.
    """
    people = np.unique(np.asarray(subjects), return_inverse=True)[1]
    sums = np.zeros((people.max() + 1, faces.shape[1]))
    np.add.at(sums, people, faces * weights[:, None])
    total = np.bincount(people, weights)
    # Weight 0 throughout leaves sums of 0: the mean face, not NaN.
    means = sums / np.maximum(total, 1e-12)[:, None]
    return means[people].astype(np.float32)


def fit_weights(fit: Fit, image_size: int) -> NDArray[np.float64]:
    """How much each fit (B,) counts: the inverse square of its landmarks' residual.

    Landmarks are what is left of the confidence of a detector that Tran et al. weigh by.
    """
    # In px of one frame, so that photographs of several sizes count alike.
    off = fit.landmark_residual.double().cpu().numpy() * (_FRAME / image_size)
    usable = fit.converged.cpu().numpy() & np.isfinite(off)
    # The inverse variance, if landmark errors were all there is: best of all weights for a mean.
    weight = 1.0 / np.maximum(np.nan_to_num(off, nan=np.inf), LEAST_RESIDUAL) ** 2
    # A fit that has not converged says nothing of the person, however small its residual.
    return np.where(usable, weight, 0.0)


def _fit_rows(
    shards: FaceShards, labelling: Labelling, rows: range
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    model = _model(labelling.model)
    places, samples = read_samples(shards, dict(enumerate(rows)))
    vectors = np.zeros((len(rows), CoefficientSizes.of(model).total), np.float32)
    weights = np.zeros(len(rows))
    if samples:
        # One size a batch: shards of several sources may hold several.
        size = samples[0].image.shape[0]
        truth = collate([resize_sample(sample, size) for sample in samples])
        # Only where the mask shows the face's own surface may colours decide.
        skin = class_weights(dict.fromkeys(_SKIN, 1.0))[truth.masks]
        fit = _fitter(labelling.model, size).fit(truth.images, truth.landmarks, skin)
        vectors[places] = fit.coefficients.vector().numpy()
        weights[places] = fit_weights(fit, size)
    return vectors, weights


@lru_cache(maxsize=1)
def _shards(data: Path, rows: int) -> FaceShards:
    return FaceShards(data, rows)


@lru_cache(maxsize=1)
def _model(name: str) -> MorphableModel:
    return load_model(name)


@lru_cache(maxsize=1)
def _fitter(name: str, size: int) -> Fitter:
    """One per process: its preconditioner takes longer than a face."""
    return Fitter(_model(name), size)
